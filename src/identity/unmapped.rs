//! Accounts that no rule names anybody for, and how many rows they have.
//!
//! Bounded: when a new account finds no room, it takes the place of the one with the fewest rows and goes on from its count (Metwally, Agrawal, El Abbadi:
//! *Space-Saving*). So an account with many rows is never lost behind many with few; counts of accounts that came late may be too high.

use std::collections::HashMap;

use crate::limits::UNMAPPED_ACCOUNTS_MAX;

/// See the module.
#[derive(Debug, Default)]
pub struct Unmapped {
    rows: u64,
    by_account: HashMap<Vec<u8>, u64>,
}

impl Unmapped {
    /// So many rows of this account.
    pub fn add(&mut self, account: &[u8], rows: u64) {
        self.rows += rows;
        if let Some(count) = self.by_account.get_mut(account) {
            *count += rows;
            return;
        }
        let mut before = 0;
        if self.by_account.len() >= UNMAPPED_ACCOUNTS_MAX
            && let Some(least) =
                self.by_account.iter().min_by_key(|(_, rows)| **rows).map(|(account, _)| account.clone())
        {
            before = self.by_account.remove(&least).unwrap_or(0);
        }
        self.by_account.insert(account.to_vec(), before + rows);
    }

    /// Of all of them.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Those with the most rows, the most first.
    pub fn top(&self, count: usize) -> Vec<(String, u64)> {
        let mut all: Vec<_> = self
            .by_account
            .iter()
            .map(|(account, rows)| (String::from_utf8_lossy(account).into_owned(), *rows))
            .collect();
        all.sort_by(|one, two| two.1.cmp(&one.1).then_with(|| one.0.cmp(&two.0)));
        all.truncate(count);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_with_many_rows_is_not_lost_behind_many_with_few() {
        let mut unmapped = Unmapped::default();
        for at in 0..10 * UNMAPPED_ACCOUNTS_MAX {
            unmapped.add(format!("scan{at}").as_bytes(), 1);
            unmapped.add(b"app", 1);
        }
        assert_eq!(unmapped.top(1), [("app".to_owned(), 10 * UNMAPPED_ACCOUNTS_MAX as u64)]);
        assert_eq!(
            (unmapped.by_account.len(), unmapped.rows()),
            (UNMAPPED_ACCOUNTS_MAX, 20 * UNMAPPED_ACCOUNTS_MAX as u64)
        );
    }
}
