//! Where an event stands in the stream of commits.

use std::fmt;

use pg_lsn::Lsn;

/// The index of a change in its transaction, from 0, over every change message that the server
/// sends, routed or not.
///
/// Counting all of them makes the index independent of the configuration of the routing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ChangeIndex(u64);

/// Where an event stands: the LSN of its transaction's commit, then its index in the transaction.
///
/// Positions order as the stream does. The LSN of a single row does not: transactions interleave
/// in the write-ahead log, and are sent one after the other.
///
/// # Example
///
/// ```
/// use cdc_event::{ChangeIndex, Position};
///
/// let position = Position { commit_lsn: "16/B374D848".parse()?, index: ChangeIndex::new(3) };
/// assert_eq!(position.to_string(), "16/B374D848#3");
/// # Ok::<(), pg_lsn::ParseLsnError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The LSN of the commit record of the transaction.
    pub commit_lsn: Lsn,
    /// The index of the change in the transaction.
    pub index: ChangeIndex,
}

impl ChangeIndex {
    /// The first change of a transaction.
    pub const FIRST: Self = Self(0);

    /// The change with `index` changes before it in its transaction.
    #[must_use]
    pub const fn new(index: u64) -> Self {
        Self(index)
    }

    /// The number of changes before this one in its transaction.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The index of the change after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.commit_lsn, self.index.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(lsn: u64, index: u64) -> Position {
        Position {
            commit_lsn: Lsn::new(lsn),
            index: ChangeIndex::new(index),
        }
    }

    #[test]
    fn orders_by_commit_then_by_index() {
        assert!(position(1, 9) < position(2, 0));
        assert!(position(2, 0) < position(2, 1));
        assert!(position(2, 9) < position(2, 10));
    }

    #[test]
    fn prints_lsn_and_index() {
        assert_eq!(position(0x16_B374_D848, 3).to_string(), "16/B374D848#3");
        assert_eq!(ChangeIndex::FIRST.next(), ChangeIndex::new(1));
    }
}
