//! Reads one partition.

use std::fmt;
use std::sync::Arc;

use super::fetched::FetchedRecord;
use super::holding::{Ended, Holding, Room};
use crate::record::{Offset, Partition, TopicPartition};

/// Reads one partition from its assignment until it is taken away.
///
/// A partition that is not read costs nothing but what is fetched ahead of it, which is bounded; others go on, and so
/// does the membership of the group. Dropping the reader means not to read: the partition stays this member's.
pub struct PartitionReader(Arc<Holding>);

/// Stores offsets of a partition; for those who finish records when the reader is elsewhere.
#[derive(Clone)]
pub struct OffsetStore(Arc<Holding>);

impl PartitionReader {
    pub(super) fn new(holding: Arc<Holding>) -> Self {
        Self(holding)
    }

    /// The partition with its topic.
    #[must_use]
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.0.partition
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.0.partition.topic
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> Partition {
        self.0.partition.partition
    }

    /// Where the group stood when the partition was assigned, which is where reading starts; `None` when it had
    /// committed nothing.
    #[must_use]
    pub fn committed_at_assignment(&self) -> Option<Offset> {
        self.0.committed_before
    }

    /// Waits for the next record; `None` once the partition is taken away.
    ///
    /// Cancel safe: no record is lost.
    pub async fn next(&mut self) -> Option<FetchedRecord> {
        loop {
            // A partition with much to read would keep its thread otherwise.
            tokio::task::consume_budget().await;
            match self.0.take_one() {
                Ok(Some(record)) => return Some(record),
                Ok(None) => self.0.filled.notified().await,
                Err(Ended) => return None,
            }
        }
    }

    /// Waits for a record, and appends it with those that have been fetched behind it: `max_records` at most, and not
    /// more than the one that reaches `max_bytes` (see [`FetchedRecord::size`]). Gives their number, which is 0 only
    /// once the partition is taken away, or when there is no room for any.
    ///
    /// Cancel safe: no record is lost.
    pub async fn take(
        &mut self,
        max_records: usize,
        max_bytes: usize,
        into: &mut Vec<FetchedRecord>,
    ) -> usize {
        let room = Room {
            records: max_records,
            bytes: max_bytes,
        };
        if max_records == 0 || max_bytes == 0 {
            return 0;
        }
        loop {
            tokio::task::consume_budget().await;
            match self.0.take(room, into) {
                Ok(0) => self.0.filled.notified().await,
                Ok(taken) => return taken,
                Err(Ended) => return 0,
            }
        }
    }

    /// As [`take`](Self::take), without waiting: 0 also when no record has been fetched.
    pub fn try_take(
        &mut self,
        max_records: usize,
        max_bytes: usize,
        into: &mut Vec<FetchedRecord>,
    ) -> usize {
        let room = Room {
            records: max_records,
            bytes: max_bytes,
        };
        self.0.take(room, into).unwrap_or(0)
    }

    /// See [`OffsetStore::store`].
    pub fn store(&self, next: Offset) -> bool {
        self.0.store(next)
    }

    /// See [`OffsetStore::committed`].
    #[must_use]
    pub fn committed(&self) -> Option<Offset> {
        self.0.committed()
    }

    /// Stores offsets of this partition from elsewhere.
    #[must_use]
    pub fn offset_store(&self) -> OffsetStore {
        OffsetStore(Arc::clone(&self.0))
    }
}

impl OffsetStore {
    /// Says that every record before `next` is done with: the group goes on there, once it is committed, which happens
    /// soon, and before the partition goes to another member. An offset below one that was stored before changes
    /// nothing.
    ///
    /// Gives false when the partition has been let go: nothing is stored then, and the records come again elsewhere.
    pub fn store(&self, next: Offset) -> bool {
        self.0.store(next)
    }

    /// What is known to be committed: at the assignment, or by this member since.
    #[must_use]
    pub fn committed(&self) -> Option<Offset> {
        self.0.committed()
    }
}

impl fmt::Debug for PartitionReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartitionReader({})", self.0.partition)
    }
}

impl fmt::Debug for OffsetStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OffsetStore({})", self.0.partition)
    }
}
