//! Whether the stream is of the history that was relayed before. Pure.
//!
//! A server that was restored from a copy of its files, without a recovery, stays on its timeline and uses positions
//! again. When its log is past the checkpoint, only its transactions tell.

use std::cmp::Ordering;

use pg_lsn::Lsn;
use pg_replication::pgoutput::Begin;

use super::checkpoint::SeenCommit;
use super::gap::Gap;

/// Looks for the newest transaction that Kafka has in what the server sends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lineage {
    /// `None` once the history is known to be the same, or when there is nothing to know it by.
    seen: Option<SeenCommit>,
    /// Everything before is in Kafka.
    covered: Lsn,
    /// The stream has shown an older transaction, so it must show this one too.
    is_due: bool,
}

impl Lineage {
    /// Kafka has everything before `covered`, with `seen` as the newest transaction.
    pub(super) const fn new(seen: Option<SeenCommit>, covered: Lsn) -> Self {
        Self {
            seen,
            covered,
            is_due: false,
        }
    }

    /// Whether the transaction is still to come that decides.
    pub(super) const fn is_due(&self) -> bool {
        self.is_due && self.seen.is_some()
    }

    /// The stream shows a transaction.
    ///
    /// # Errors
    ///
    /// [`Gap::OtherHistory`], if it cannot be there in the history that was relayed.
    pub(super) fn pass(&mut self, begin: &Begin) -> Result<(), Gap> {
        let Some(seen) = self.seen else {
            return Ok(());
        };
        match begin.final_lsn.cmp(&seen.lsn) {
            Ordering::Less => self.is_due = true,
            Ordering::Equal if seen.is_at(begin.commit_time) => self.seen = None,
            Ordering::Greater if !self.is_due && begin.final_lsn >= self.covered => {
                self.seen = None;
            }
            Ordering::Equal | Ordering::Greater => return Err(Gap::OtherHistory { seen }),
        }
        Ok(())
    }

    /// The server has sent all that it has before `lsn`.
    ///
    /// # Errors
    ///
    /// As [`pass`](Self::pass).
    pub(super) fn pass_idle(&self, lsn: Lsn) -> Result<(), Gap> {
        match self.seen {
            Some(seen) if self.is_due && lsn > seen.lsn => Err(Gap::OtherHistory { seen }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use pg_replication::PgTimestamp;
    use pg_replication::pgoutput::Xid;

    use super::*;

    const TIME: PgTimestamp = PgTimestamp::from_micros(1_000_000);

    fn begin(lsn: u64) -> Begin {
        Begin {
            final_lsn: Lsn::new(lsn),
            commit_time: TIME,
            xid: Xid(1),
        }
    }

    /// Kafka has everything before 200, and the newest transaction is at 100.
    fn lineage() -> Lineage {
        Lineage::new(Some(SeenCommit::new(Lsn::new(100), TIME)), Lsn::new(200))
    }

    #[test]
    fn the_same_transaction_at_the_same_place_is_the_same_history() {
        let mut lineage = lineage();
        for (lsn, is_due) in [(50, true), (100, false), (150, false), (250, false)] {
            lineage.pass(&begin(lsn)).unwrap();
            assert_eq!(lineage.is_due(), is_due, "{lsn}");
        }
        lineage.pass_idle(Lsn::new(300)).unwrap();
    }

    #[test]
    fn a_stream_that_begins_after_it_shows_nothing() {
        let mut lineage = lineage();
        lineage.pass_idle(Lsn::new(150)).unwrap();
        lineage.pass(&begin(200)).unwrap();
        lineage.pass(&begin(250)).unwrap();
    }

    #[test]
    fn another_time_at_the_same_place_is_another_history() {
        let mut other = begin(100);
        other.commit_time = PgTimestamp::from_micros(1_000_001);
        assert!(lineage().pass(&other).is_err());
    }

    #[test]
    fn a_transaction_that_was_not_there_when_its_place_was_relayed_is_another_history() {
        assert!(lineage().pass(&begin(150)).is_err());
    }

    #[test]
    fn to_pass_it_without_showing_it_is_another_history() {
        let mut lineage = lineage();
        lineage.pass(&begin(50)).unwrap();
        lineage.pass_idle(Lsn::new(100)).unwrap();
        assert!(lineage.pass_idle(Lsn::new(101)).is_err());
        assert!(lineage.pass(&begin(250)).is_err());
    }

    #[test]
    fn with_nothing_relayed_every_history_fits() {
        let mut lineage = Lineage::new(None, Lsn::new(200));
        for lsn in [50, 250] {
            lineage.pass(&begin(lsn)).unwrap();
        }
        lineage.pass_idle(Lsn::new(300)).unwrap();
    }
}
