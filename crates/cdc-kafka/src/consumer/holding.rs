//! A partition from its assignment until it is let go.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::message::Message;
use tokio::sync::Notify;

use super::context::{Client, Context, News};
use super::fetched::FetchedRecord;
use crate::code::KafkaCode;
use crate::record::{Offset, TopicPartition};

/// A partition from its assignment until it is let go, shared by its reader and the poll thread.
///
/// Each assignment has its own: a reader of an earlier one cannot store offsets for a later one.
pub(super) struct Holding {
    pub(super) partition: TopicPartition,
    pub(super) committed_before: Option<Offset>,
    /// `None` when nothing more is to be read. Its lock is held only while records that are there are taken.
    reading: Mutex<Option<Reading>>,
    progress: Mutex<Progress>,
    /// The queue was empty and no longer is, or it is gone.
    pub(super) filled: Arc<Notify>,
    news: Arc<News>,
}

/// The queue of a partition. It holds on to the client.
pub(super) type Queue = PartitionQueue<Context>;

struct Reading {
    queue: Queue,
    last: Option<Offset>,
}

struct Progress {
    let_go: bool,
    stored: Option<Offset>,
    /// Given to librdkafka, which commits it.
    given: Option<Offset>,
    committed: Option<Offset>,
}

/// How much is taken at once.
#[derive(Clone, Copy)]
pub(super) struct Room {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

/// There is nothing more to be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended;

/// Splits the queue of a partition off. To be done before it is assigned: nothing of it can come out elsewhere then.
pub(super) fn split(
    client: &Arc<Client>,
    partition: &TopicPartition,
    filled: &Arc<Notify>,
) -> Option<Queue> {
    let mut queue = client.split_partition_queue(&partition.topic, partition.partition.0)?;
    let filled = Arc::clone(filled);
    queue.set_nonempty_callback(move || filled.notify_one());
    Some(queue)
}

impl Holding {
    /// `stored` is committed even if nothing is read.
    pub(super) fn new(
        partition: TopicPartition,
        queue: Queue,
        filled: Arc<Notify>,
        committed: Option<Offset>,
        stored: Option<Offset>,
        news: Arc<News>,
    ) -> Self {
        let progress = Progress {
            let_go: false,
            stored,
            given: None,
            committed,
        };
        Self {
            partition,
            committed_before: committed,
            reading: Mutex::new(Some(Reading { queue, last: None })),
            progress: Mutex::new(progress),
            filled,
            news,
        }
    }

    /// Takes records that are there, one at least if `room` has any; the last one may exceed its bytes.
    pub(super) fn take(&self, room: Room, into: &mut Vec<FetchedRecord>) -> Result<usize, Ended> {
        let mut reading = self.reading();
        let reading = reading.as_mut().ok_or(Ended)?;
        let (mut taken, mut bytes) = (0, 0);
        while taken < room.records && bytes < room.bytes {
            let Some(record) = self.poll(reading) else {
                break;
            };
            bytes += record.size();
            taken += 1;
            into.push(record);
        }
        Ok(taken)
    }

    /// Takes the next record if it is there.
    pub(super) fn take_one(&self) -> Result<Option<FetchedRecord>, Ended> {
        let mut reading = self.reading();
        let reading = reading.as_mut().ok_or(Ended)?;
        Ok(self.poll(reading))
    }

    fn poll(&self, reading: &mut Reading) -> Option<FetchedRecord> {
        loop {
            match reading.queue.poll(Duration::ZERO)? {
                Ok(message) => {
                    let offset = Offset(message.offset());
                    // A rebalance of other partitions has librdkafka fetch this one anew, from behind the last record
                    // that it knows to be taken; it may not know yet of the one that is just being taken.
                    if reading.last != Some(offset) {
                        reading.last = Some(offset);
                        return Some(FetchedRecord::of(&message));
                    }
                }
                Err(error) => {
                    let code = KafkaCode::of(&error);
                    self.news
                        .trouble(format!("{}: {code}", self.partition), code);
                }
            }
        }
    }

    /// Notes that records before `next` are done with; false when it is too late for that.
    pub(super) fn store(&self, next: Offset) -> bool {
        let mut progress = self.progress();
        if !progress.let_go {
            progress.stored = progress.stored.max(Some(next));
        }
        !progress.let_go
    }

    /// What is to be given to librdkafka, if anything.
    pub(super) fn to_give(&self) -> Option<Offset> {
        let progress = self.progress();
        progress.stored.filter(|_| progress.stored > progress.given)
    }

    pub(super) fn given(&self, next: Offset) {
        self.progress().given = Some(next);
    }

    pub(super) fn has_committed(&self, next: Offset) {
        let mut progress = self.progress();
        progress.committed = Some(next);
    }

    /// Notes that all is committed that librdkafka was given.
    pub(super) fn has_committed_all(&self) {
        let mut progress = self.progress();
        progress.committed = progress.committed.max(progress.given);
    }

    pub(super) fn committed(&self) -> Option<Offset> {
        self.progress().committed
    }

    /// Whether something is stored that is not committed.
    pub(super) fn is_behind(&self) -> bool {
        let progress = self.progress();
        progress.stored.is_some() && progress.stored > progress.committed
    }

    /// Ends its reader. What is done with what was read can be stored still.
    pub(super) fn end_reading(&self) {
        drop(self.reading().take());
        self.filled.notify_one();
    }

    /// Takes no more stored offsets.
    pub(super) fn let_go(&self) {
        self.end_reading();
        self.progress().let_go = true;
    }

    fn reading(&self) -> MutexGuard<'_, Option<Reading>> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
