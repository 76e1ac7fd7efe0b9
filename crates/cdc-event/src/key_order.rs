//! Order of a key through failures: what a runner asks of whoever keeps it, and the other way round.
//!
//! A record that fails waits, and so does every later one of its key, until it is dealt with; other keys go on. The
//! runner decides what is tried and when something is given up; where records wait, and in which order they come out
//! again, is up to the [`KeyOrder`].

mod dead_head;
mod error;
mod waiting;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

pub use self::dead_head::DeadHead;
pub use self::error::{DrainError, NotDealt, OrderDisposition, OrderError};
pub use self::waiting::{Admission, Fate, Head, Replayed, Turn, Unfinished};
use crate::handler::Attempt;
use crate::record::Record;

/// A future behind a pointer, so that the traits may stand behind one too.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Keeps the order of each key of a consumer group, whatever fails.
pub trait KeyOrder: fmt::Debug + Send + Sync + 'static {
    /// Takes a partition over, before any of its records is handled: what an earlier owner does from now on is refused,
    /// and all that it did is known to the new one.
    ///
    /// # Errors
    ///
    /// [`OrderError`]; may be done again.
    fn take_over<'a>(
        &'a self,
        partition: &'a AssignedPartition,
    ) -> Later<'a, Result<Arc<dyn PartitionOrder>, OrderError>>;

    /// Offsets of the partition mean other records than they did: the topic was made anew. What waits goes on waiting,
    /// what is read from now on comes behind it, and nothing of it is taken for something that was read before. The
    /// partition has to be taken over again afterwards.
    ///
    /// # Errors
    ///
    /// [`OrderError`]; may be done again.
    fn restart<'a>(&'a self, partition: &'a AssignedPartition)
    -> Later<'a, Result<(), OrderError>>;

    /// A record comes back that was given up, perhaps with another value. If it is known it is tried again in its
    /// place, with `record` instead of what it was, and those behind it go on when it succeeds. `attempt` is the one that
    /// comes next as far as the record itself says; `failed_event` its number in the store of failed events, if it comes
    /// from there.
    ///
    /// # Errors
    ///
    /// [`OrderError`]; may be done again.
    fn replay<'a>(
        &'a self,
        group: &'a str,
        record: &'a Record,
        attempt: Attempt,
        failed_event: Option<i64>,
    ) -> Later<'a, Result<Replayed, OrderError>>;

    /// Has records that wait dealt with when they are due, those of a key one after the other, until `stop` resolves;
    /// then what is begun comes to an end. Any number may do that for a group at the same time, in any process.
    ///
    /// # Errors
    ///
    /// What cannot pass by itself.
    fn drain<'a>(
        &'a self,
        group: &'a str,
        heads: Arc<dyn HeadHandler>,
        stop: Later<'a, ()>,
    ) -> Later<'a, Result<(), DrainError>>;
}

/// A partition that was given to a member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignedPartition {
    /// The consumer group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The partition, from 0.
    pub partition: i32,
    /// How many partitions the topic has; with another number, keys are in other partitions.
    pub partition_count: i32,
    /// Where the group goes on; `None` when it has committed nothing.
    pub committed: Option<i64>,
}

/// The records of one assignment of a partition, until the partition is taken over again.
///
/// For each record, and the next one of its key only after that: [`admit`](Self::admit). With [`Admission::Process`] it
/// is handled, and if that fails, [`park`](Self::park)ed. Then its offset may be stored.
pub trait PartitionOrder: Send + Sync + 'static {
    /// Whether it is the record's turn. If not, it waits durably when this returns.
    ///
    /// # Errors
    ///
    /// [`OrderError`]: it was not admitted, and neither may be any later one of its key. May be done again.
    fn admit<'a>(&'a self, record: &'a Record) -> Later<'a, Result<Admission, OrderError>>;

    /// Puts what is left of a record where it waits for its next attempt, durably. Given-up parts have gone to the dead
    /// letters before.
    ///
    /// # Errors
    ///
    /// As of [`admit`](Self::admit).
    fn park<'a>(
        &'a self,
        record: &'a Record,
        left: &'a [Unfinished],
    ) -> Later<'a, Result<(), OrderError>>;

    /// No record before `committed` is ever read again: what was remembered for that case may go.
    ///
    /// # Errors
    ///
    /// [`OrderError`]; may be done again.
    fn forget(&self, committed: i64) -> Later<'_, Result<(), OrderError>>;

    /// The highest offset of the partition that is remembered, as of the time when it was taken over.
    fn newest_offset(&self) -> Option<i64>;

    /// The partition is about to be given away: when this returns, nobody deals with records of it on behalf of this
    /// assignment any more, though others may. What is begun has a moment to end. Dropping the assignment does the same
    /// without waiting.
    fn release(&self) -> Later<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// Deals with records whose turn has come; the runner's side of [`KeyOrder::drain`].
pub trait HeadHandler: Send + Sync + 'static {
    /// Makes one attempt, or gives the record up, as [`Head::turn`] says, and tells what is left of it; nothing is a
    /// success. What is [`Fate::Dead`] is with the dead letters when this returns.
    ///
    /// May be dropped: the record is then not dealt with.
    ///
    /// # Errors
    ///
    /// [`NotDealt`]: nothing is to be recorded of it.
    fn deal<'a>(&'a self, head: &'a Head) -> Later<'a, Result<Vec<Unfinished>, NotDealt>>;
}
