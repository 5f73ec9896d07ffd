//! The columns of a row that have no field of their own.
//!
//! Some formats have fifty of them, most rows a handful, and a record is moved by value on its way out of a parser. So a few stand in the
//! record itself, and only a row that has more of them costs an allocation.

use std::iter::Chain;
use std::slice::Iter;

use arrayvec::ArrayVec;

use crate::record::Value;

/// A column under the engine's own name.
pub type Named<'a> = (&'static str, Value<'a>);

/// The most extra columns that any format has.
pub const EXTRA_MAX: usize = 56;

/// More than a row of PostgreSQL has that tells of no error.
const NEAR_MAX: usize = 12;

/// Columns in the engine's order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extra<'a> {
    near: ArrayVec<Named<'a>, NEAR_MAX>,
    /// Those behind the first [`NEAR_MAX`].
    far: Vec<Named<'a>>,
}

impl<'a> Extra<'a> {
    /// Adds a column behind the others. Whoever calls it knows that there are never more than [`EXTRA_MAX`].
    pub fn push(&mut self, column: Named<'a>) {
        if let Err(full) = self.near.try_push(column) {
            self.far.push(full.element());
        }
    }

    /// The same where a row may have any number of them: false when there are [`EXTRA_MAX`] already.
    pub fn try_push(&mut self, column: Named<'a>) -> bool {
        let has_room = self.len() < EXTRA_MAX;
        if has_room {
            self.push(column);
        }
        has_room
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.near.len() + self.far.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.near.is_empty()
    }

    /// One after the other.
    pub fn iter(&self) -> Chain<Iter<'_, Named<'a>>, Iter<'_, Named<'a>>> {
        self.near.iter().chain(&self.far)
    }
}

impl<'a> Extend<Named<'a>> for Extra<'a> {
    fn extend<I: IntoIterator<Item = Named<'a>>>(&mut self, columns: I) {
        columns.into_iter().for_each(|column| self.push(column));
    }
}

impl<'a> FromIterator<Named<'a>> for Extra<'a> {
    fn from_iter<I: IntoIterator<Item = Named<'a>>>(columns: I) -> Self {
        let mut extra = Extra::default();
        extra.extend(columns);
        extra
    }
}

impl<'e, 'a> IntoIterator for &'e Extra<'a> {
    type Item = &'e Named<'a>;
    type IntoIter = Chain<Iter<'e, Named<'a>>, Iter<'e, Named<'a>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_come_back_in_their_order_however_many_there_are() {
        for count in [0, 1, NEAR_MAX, NEAR_MAX + 1, EXTRA_MAX] {
            let all: Vec<_> = (0..count as i64).map(Value::Int).collect();
            let extra: Extra<'_> = all.iter().map(|value| ("name", *value)).collect();
            assert!(extra.iter().map(|(_, value)| value).eq(&all), "{extra:?}");
            assert_eq!((extra.len(), extra.is_empty()), (count, count == 0));
        }
    }

    #[test]
    fn no_row_has_more_than_the_most_that_is_allowed() {
        let mut extra = Extra::default();
        let taken = (0..EXTRA_MAX + 9).filter(|_| extra.try_push(("name", Value::Int(0)))).count();
        assert_eq!((taken, extra.len()), (EXTRA_MAX, EXTRA_MAX));
    }
}
