//! One record at a time: how the relay finds out which record Kafka refuses.
//!
//! A refusal may hit a whole batch for the sake of one record in it, and fails a whole transaction. So when Kafka
//! has refused something, the next session sends each record alone until it is past what had been sent.

use cdc_event::Position;

/// Until where to be careful.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Careful {
    /// The position that had been reached; `None` for rows of a table and standalone messages: until the stream begins.
    until: Option<Position>,
    /// Of the record that is under way.
    current: Option<Position>,
}

impl Careful {
    pub(super) fn until(position: Option<Position>) -> Self {
        Self {
            until: position,
            current: None,
        }
    }

    /// A record was sent.
    pub(super) fn sent(&mut self, position: Option<Position>) {
        self.current = position;
    }

    /// Of the record that was sent last.
    pub(super) fn current(self) -> Option<Position> {
        self.current
    }

    /// Whether a record at `position` is past what had been sent.
    pub(super) fn is_over(self, position: Option<Position>) -> bool {
        match (self.until, position) {
            (Some(until), Some(position)) => position > until,
            (None, Some(_)) => true,
            (_, None) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use cdc_event::ChangeIndex;
    use pg_lsn::Lsn;

    use super::*;

    #[test]
    fn ends_past_the_position_only() {
        let at = |lsn, index| {
            Some(Position {
                commit_lsn: Lsn::new(lsn),
                index: ChangeIndex::new(index),
            })
        };
        let careful = Careful::until(at(10, 5));
        assert!(!careful.is_over(at(9, 9)));
        assert!(!careful.is_over(at(10, 5)));
        assert!(!careful.is_over(None));
        assert!(careful.is_over(at(10, 6)));
        assert!(careful.is_over(at(11, 0)));
        assert!(Careful::until(None).is_over(at(1, 0)));
    }
}
