//! Precision and recall, counted by class of facts and by kind of statement.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::facts::Items;

/// What was found, what should have been, and what was both.
#[derive(Debug, Clone, Copy, Default)]
pub struct Count {
    /// Found, and there.
    pub right: usize,
    /// Found, and not there.
    pub wrong: usize,
    /// There, and not found.
    pub missed: usize,
    /// Statements that have anything to find or in which anything was found.
    pub statements: usize,
}

impl Count {
    /// Counts one statement's items.
    pub fn add(&mut self, expected: &Items, got: &Items) {
        self.statements += usize::from(!expected.is_empty() || !got.is_empty());
        self.right += expected.intersection(got).count();
        self.wrong += got.difference(expected).count();
        self.missed += expected.difference(got).count();
    }

    /// The part of what was found that is there, in percent.
    pub fn precision(self) -> f64 {
        percent(self.right, self.right + self.wrong)
    }

    /// The part of what is there that was found, in percent.
    pub fn recall(self) -> f64 {
        percent(self.right, self.right + self.missed)
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 { 100.0 } else { 100.0 * part as f64 / whole as f64 }
}

/// Counts by name, of a class or a kind of statement.
#[derive(Debug, Default)]
pub struct Tally(BTreeMap<String, Count>);

impl Tally {
    /// Counts one statement's items under a name.
    pub fn add(&mut self, name: &str, expected: &Items, got: &Items) {
        if !expected.is_empty() || !got.is_empty() {
            self.0.entry(name.to_owned()).or_default().add(expected, got);
        }
    }

    /// What was counted under all names together.
    pub fn total(&self) -> Count {
        self.0.values().fold(Count::default(), |sum, one| Count {
            right: sum.right + one.right,
            wrong: sum.wrong + one.wrong,
            missed: sum.missed + one.missed,
            statements: sum.statements + one.statements,
        })
    }

    /// What was counted under a name.
    pub fn of(&self, name: &str) -> Count {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// A table, a line a name, and one for all.
    pub fn table(&self, title: &str) -> String {
        let mut table = format!("{title:<34} statements    right  wrong missed  precision   recall\n");
        let total = ("all".to_owned(), self.total());
        for (name, count) in self.0.iter().map(|(name, count)| (name.clone(), *count)).chain([total]) {
            let Count { right, wrong, missed, statements } = count;
            let (precision, recall) = (count.precision(), count.recall());
            let _ = writeln!(
                table,
                "  {name:<32} {statements:>10} {right:>8} {wrong:>6} {missed:>6} {precision:>9.2}% {recall:>7.2}%"
            );
        }
        table
    }
}
