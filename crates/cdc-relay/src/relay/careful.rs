//! One record at a time: how the relay finds out which record Kafka refuses.
//!
//! A refusal may hit a whole batch for the sake of one record in it, and fails a whole transaction. So when Kafka
//! has refused something, the next session sends each record alone until it is past what had been sent.

use cdc_event::Position;
use outbox_scan::ScanPosition;

/// How far what was taken goes. Rows of a table come before the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reached {
    Row(ScanPosition),
    Event(Position),
}

/// Until where to be careful.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Careful {
    /// What had been taken; `None` for standalone messages before anything else.
    until: Option<Reached>,
    /// Of the record that is under way.
    current: Option<Position>,
}

impl Careful {
    pub(super) fn until(reached: Option<Reached>) -> Self {
        Self {
            until: reached,
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

    /// Whether what was taken now is past what had been.
    pub(super) fn is_over(self, reached: Reached) -> bool {
        Some(reached) > self.until
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
            Reached::Event(Position {
                commit_lsn: Lsn::new(lsn),
                index: ChangeIndex::new(index),
            })
        };
        let careful = Careful::until(Some(at(10, 5)));
        assert!(!careful.is_over(at(9, 9)));
        assert!(!careful.is_over(at(10, 5)));
        assert!(careful.is_over(at(10, 6)));
        assert!(careful.is_over(at(11, 0)));
        assert!(Careful::until(None).is_over(at(1, 0)));
    }

    #[test]
    fn rows_come_before_the_stream() -> Result<(), outbox_scan::InvalidPosition> {
        let row = |text: &str| text.parse().map(Reached::Row);
        let (earlier, later) = (
            row("16384.16390/754.0(12,3)")?,
            row("16384.16390/755.0(1,1)")?,
        );
        let event = Reached::Event(Position {
            commit_lsn: Lsn::new(1),
            index: ChangeIndex::FIRST,
        });
        let careful = Careful::until(Some(earlier));
        assert!(!careful.is_over(earlier));
        assert!(careful.is_over(later));
        assert!(careful.is_over(event));
        assert!(!Careful::until(Some(event)).is_over(later));
        Ok(())
    }
}
