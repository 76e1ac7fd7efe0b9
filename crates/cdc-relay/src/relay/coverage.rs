//! What is in Kafka already and must not be sent again.

use cdc_event::Position;
use pg_lsn::Lsn;
use pg_replication::pgoutput::{Begin, Message};

/// Up to where the stream is covered. The server may begin before it: after a restart it may have forgotten how far it
/// was confirmed, and a transaction of which Kafka has a part is always sent whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Coverage {
    lsn: Lsn,
    /// The first change that is not covered, of the first transaction that is not covered whole.
    partial: Option<Position>,
}

/// How much of a transaction is covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Covered {
    Whole,
    /// The changes before this position.
    Before(Position),
    Nothing,
}

impl Coverage {
    pub(super) const NOTHING: Self = Self {
        lsn: Lsn::ZERO,
        partial: None,
    };

    pub(super) const fn new(lsn: Lsn, partial: Option<Position>) -> Self {
        Self { lsn, partial }
    }

    /// Everything before is covered.
    pub(super) const fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// The same rule as the server's own: by the beginning of the commit record (`SnapBuildXactNeedsSkip`).
    pub(super) fn of_transaction(&self, begin: &Begin) -> Covered {
        if begin.final_lsn < self.lsn {
            return Covered::Whole;
        }
        match self.partial {
            Some(position) if position.commit_lsn == begin.final_lsn => Covered::Before(position),
            _ => Covered::Nothing,
        }
    }

    /// A message from outside of any transaction; its LSN is the end of its record.
    pub(super) fn has_standalone(&self, message: &Message) -> bool {
        message.lsn <= self.lsn
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use cdc_event::ChangeIndex;
    use pg_replication::PgTimestamp;
    use pg_replication::pgoutput::Xid;

    use super::*;

    fn begin(lsn: u64) -> Begin {
        Begin {
            final_lsn: Lsn::new(lsn),
            commit_time: PgTimestamp::now(),
            xid: Xid(1),
        }
    }

    fn message(end: u64) -> Message {
        Message {
            transactional: false,
            lsn: Lsn::new(end),
            prefix: Bytes::new(),
            content: Bytes::new(),
        }
    }

    #[test]
    fn a_commit_that_begins_right_at_the_position_is_not_covered() {
        let coverage = Coverage::new(Lsn::new(100), None);
        assert_eq!(coverage.of_transaction(&begin(99)), Covered::Whole);
        assert_eq!(coverage.of_transaction(&begin(100)), Covered::Nothing);
    }

    #[test]
    fn a_message_that_ends_right_at_the_position_is_covered() {
        let coverage = Coverage::new(Lsn::new(100), None);
        assert!(coverage.has_standalone(&message(100)));
        assert!(!coverage.has_standalone(&message(101)));
    }

    #[test]
    fn a_part_covers_its_own_transaction_only() {
        let position = Position {
            commit_lsn: Lsn::new(200),
            index: ChangeIndex::new(3),
        };
        let coverage = Coverage::new(Lsn::new(100), Some(position));
        assert_eq!(
            coverage.of_transaction(&begin(200)),
            Covered::Before(position)
        );
        assert_eq!(coverage.of_transaction(&begin(150)), Covered::Nothing);
        assert_eq!(coverage.of_transaction(&begin(201)), Covered::Nothing);
    }

    #[test]
    fn nothing_covers_nothing() {
        assert_eq!(
            Coverage::NOTHING.of_transaction(&begin(0)),
            Covered::Nothing
        );
    }
}
