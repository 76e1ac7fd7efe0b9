//! The checkpoints of one session: what the next one says, and what the last one said.

use std::sync::Arc;

use cdc_kafka::{OutgoingRecord, Partition};
use pg_replication::PgTimestamp;
use pg_replication::pgoutput::Xid;
use tokio::sync::watch;

use super::Frontier;
use crate::relay::checkpoint::{Checkpoint, CheckpointKey, PartialTransaction};

/// Composes checkpoints and remembers the newest that is in Kafka.
#[derive(Debug)]
pub(in crate::relay) struct Checkpoints {
    topic: Arc<str>,
    key: String,
    /// The newest in Kafka.
    durable: Checkpoint,
    /// Looked up from time to time while the slot is held.
    horizon: watch::Receiver<Option<Xid>>,
}

impl Checkpoints {
    /// `durable` was read from Kafka, or has just been written there.
    pub(in crate::relay) fn new(
        topic: Arc<str>,
        key: &CheckpointKey,
        durable: Checkpoint,
        horizon: watch::Receiver<Option<Xid>>,
    ) -> Self {
        Self {
            topic,
            key: key.to_string(),
            durable,
            horizon,
        }
    }

    pub(super) fn durable(&self) -> &Checkpoint {
        &self.durable
    }

    pub(super) fn note_backfill(&self) -> bool {
        self.durable.backfill.is_some()
    }

    pub(super) fn frontier(&self) -> Frontier {
        Frontier::of(&self.durable)
    }

    /// What is to be written once everything before `frontier`, and `partial` after it, is in Kafka; `None` when the
    /// newest one says it already.
    pub(super) fn next(
        &self,
        frontier: &Frontier,
        partial: Option<PartialTransaction>,
    ) -> Option<Checkpoint> {
        let mut next = self.durable.clone();
        next.lsn = frontier.lsn;
        next.newest = frontier.newest;
        next.backfill = frontier.backfill.as_deref().cloned();
        // A session that begins anew hears of it only when the server has come to it again.
        let still = |partial: &PartialTransaction| partial.ends_after(frontier.lsn);
        next.partial = partial.or(self.durable.partial.filter(still));
        if next == self.durable {
            return None;
        }
        next.horizon = self.horizon.borrow().map(|xid| xid.0).or(next.horizon);
        Some(next)
    }

    /// Whether the newest one lags behind.
    pub(super) fn is_behind(&self, frontier: &Frontier) -> bool {
        self.durable.lsn != frontier.lsn
            || self.durable.backfill.as_ref() != frontier.backfill.as_deref()
    }

    /// Hands its record to `send`.
    pub(super) fn record<R>(
        &self,
        checkpoint: &Checkpoint,
        send: impl FnOnce(OutgoingRecord<'_>) -> R,
    ) -> R {
        let value = checkpoint.to_json(PgTimestamp::now());
        send(OutgoingRecord {
            topic: &self.topic,
            // One slot's checkpoints must be in order, however many partitions somebody gave the topic later.
            partition: Some(Partition(0)),
            key: Some(self.key.as_bytes()),
            value: Some(&value),
            headers: &[],
            timestamp: None,
        })
    }

    pub(super) fn written(&mut self, checkpoint: Checkpoint) {
        self.durable = checkpoint;
    }
}

#[cfg(test)]
mod tests {
    use cdc_event::{ChangeIndex, Position};
    use pg_lsn::Lsn;
    use pg_replication::{SlotName, SystemIdentity};

    use super::*;

    fn part(commit_lsn: u64, changes: u64) -> Option<PartialTransaction> {
        PartialTransaction::before(Position {
            commit_lsn: Lsn::new(commit_lsn),
            index: ChangeIndex::new(changes),
        })
    }

    /// Of a relay that ended in the middle of the transaction that commits at 200.
    fn checkpoints() -> Checkpoints {
        let identity = SystemIdentity {
            system_id: "7".parse().unwrap(),
            timeline: "1".parse().unwrap(),
            flush_lsn: Lsn::new(500),
            database: None,
        };
        let key = CheckpointKey::new(&identity, &SlotName::new("slot").unwrap());
        let mut durable = Checkpoint::at(Lsn::new(100), identity.timeline, None);
        durable.partial = part(200, 5_000);
        let (_, horizon) = watch::channel(None);
        Checkpoints::new("t".into(), &key, durable, horizon)
    }

    fn partial_at(lsn: u64, partial: Option<PartialTransaction>) -> Option<PartialTransaction> {
        let checkpoints = checkpoints();
        let frontier = Frontier {
            lsn: Lsn::new(lsn),
            ..checkpoints.frontier()
        };
        let next = checkpoints.next(&frontier, partial);
        next.map_or(checkpoints.durable.partial, |next| next.partial)
    }

    #[test]
    fn a_part_that_is_in_kafka_is_not_forgotten_before_its_transaction_comes_again() {
        for lsn in [100, 150, 200] {
            assert_eq!(partial_at(lsn, None), part(200, 5_000), "{lsn}");
        }
    }

    #[test]
    fn a_part_ends_with_its_transaction_and_with_the_next_part() {
        assert_eq!(partial_at(201, None), None);
        assert_eq!(partial_at(100, part(200, 6_000)), part(200, 6_000));
        assert_eq!(partial_at(201, part(300, 7)), part(300, 7));
    }
}
