//! Lanes as what keeps the order for a runner.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use cdc_event::{
    Admission, AssignedPartition, Attempt, DeadHead, DrainError, HeadHandler, KeyOrder, Later,
    OrderDisposition, OrderError, PartitionOrder, Record, Replayed, Unfinished,
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::assignment::Assignment;
use crate::error::{Disposition, Error};
use crate::guard::{GuardLimits, LaneGuard};
use crate::held::tell_held;
use crate::postgres::Operated;
use crate::remainder::Remainder;
use crate::store::LaneStore;
use crate::worker::{LaneWorker, WorkerError, WorkerSettings};

/// A worker is done with a lane soon, or loses it.
const BUSY: Duration = Duration::from_millis(200);

/// Keeps the order of keys by lanes in a store: a [`KeyOrder`].
pub struct OrderedLanes<S> {
    partitions: Arc<S>,
    workers: Arc<S>,
    settings: LaneSettings,
}

/// How lanes are kept and run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneSettings {
    /// Bounds, and what becomes of records behind one that is given up.
    pub limits: GuardLimits,
    /// How many lanes are run at the same time.
    pub concurrency: NonZeroUsize,
    /// For how long a lane is reserved; renewed while its head is dealt with. So long a lane stands still after its
    /// process was killed.
    pub lease: Duration,
    /// How often it is looked for lanes that are due.
    pub poll: Duration,
    /// How long what is begun may go on after the stop.
    pub drain: Duration,
}

/// How long a lane may be run before others get their turn.
const TURN: Duration = Duration::from_secs(5);

impl LaneSettings {
    /// A hundred thousand open keys in a partition, a million records of a key, 16 lanes at the same time, leases of 30
    /// seconds, a look four times a second, ten seconds for the end.
    #[must_use]
    pub const fn new(dead_head: DeadHead) -> Self {
        Self {
            limits: GuardLimits {
                open_keys: 100_000,
                events_of_key: 1_000_000,
                dead_head,
            },
            concurrency: NonZeroUsize::MIN.saturating_add(15),
            lease: Duration::from_secs(30),
            poll: Duration::from_millis(250),
            drain: Duration::from_secs(10),
        }
    }
}

impl<S: LaneStore> OrderedLanes<S> {
    /// `partitions` serves those who read, `workers` those who deal with what waits: two sessions, so that neither waits
    /// for large records of the other.
    #[must_use]
    pub const fn new(partitions: Arc<S>, workers: Arc<S>, settings: LaneSettings) -> Self {
        Self {
            partitions,
            workers,
            settings,
        }
    }

    async fn guard(&self, partition: &AssignedPartition) -> Result<LaneGuard<S>, Error> {
        let store = Arc::clone(&self.partitions);
        let (assignment, committed) = (assignment(partition), partition.committed);
        LaneGuard::take_over(store, assignment, committed, self.settings.limits).await
    }

    async fn put_back(
        &self,
        group: &str,
        record: &Record,
        attempt: Attempt,
        failed_event: Option<i64>,
    ) -> Result<Replayed, Error> {
        loop {
            let replayed = self.partitions.replay(group, record, attempt, failed_event);
            match replayed.await? {
                Operated::Done => return Ok(Replayed::Taken),
                Operated::Gone => return Ok(Replayed::Unknown),
                Operated::Busy => sleep(BUSY).await,
            }
        }
    }

    async fn run(
        &self,
        group: &str,
        heads: Arc<dyn HeadHandler>,
        stop: Later<'_, ()>,
    ) -> Result<(), WorkerError> {
        let LaneSettings {
            limits,
            concurrency,
            lease,
            poll,
            drain,
        } = self.settings;
        let settings = WorkerSettings {
            group: group.to_owned(),
            concurrency,
            lease,
            poll,
            turn: TURN,
            dead_head: limits.dead_head,
            drain,
        };
        let worker = LaneWorker::new(Arc::clone(&self.workers), heads, settings);
        let token = CancellationToken::new();
        let mut running = std::pin::pin!(worker.run(&token));
        tokio::select! {
            ended = &mut running => ended,
            () = stop => {
                token.cancel();
                running.await
            }
        }
    }
}

impl<S: LaneStore> KeyOrder for OrderedLanes<S> {
    fn take_over<'a>(
        &'a self,
        partition: &'a AssignedPartition,
    ) -> Later<'a, Result<Arc<dyn PartitionOrder>, OrderError>> {
        Box::pin(async move {
            let guard: Arc<dyn PartitionOrder> = Arc::new(self.guard(partition).await?);
            Ok(guard)
        })
    }

    fn restart<'a>(
        &'a self,
        partition: &'a AssignedPartition,
    ) -> Later<'a, Result<(), OrderError>> {
        Box::pin(async move { Ok(self.partitions.restart(&assignment(partition)).await?) })
    }

    fn replay<'a>(
        &'a self,
        group: &'a str,
        record: &'a Record,
        attempt: Attempt,
        failed_event: Option<i64>,
    ) -> Later<'a, Result<Replayed, OrderError>> {
        Box::pin(async move { Ok(self.put_back(group, record, attempt, failed_event).await?) })
    }

    fn drain<'a>(
        &'a self,
        group: &'a str,
        heads: Arc<dyn HeadHandler>,
        stop: Later<'a, ()>,
    ) -> Later<'a, Result<(), DrainError>> {
        Box::pin(async move { Ok(self.run(group, heads, stop).await?) })
    }
}

impl<S: LaneStore> PartitionOrder for LaneGuard<S> {
    fn admit<'a>(&'a self, record: &'a Record) -> Later<'a, Result<Admission, OrderError>> {
        Box::pin(async move { Ok(Self::admit(self, record).await?) })
    }

    fn park<'a>(
        &'a self,
        record: &'a Record,
        left: &'a [Unfinished],
    ) -> Later<'a, Result<(), OrderError>> {
        Box::pin(async move {
            let remainders: Vec<Remainder> = left.iter().map(Remainder::of).collect();
            Self::park(self, record, &remainders).await?;
            tell_held(self.group(), &record.origin, left, self.dead_head());
            Ok(())
        })
    }

    fn forget(&self, committed: i64) -> Later<'_, Result<(), OrderError>> {
        Box::pin(async move { Ok(Self::forget(self, committed).await?) })
    }

    fn newest_offset(&self) -> Option<i64> {
        Self::newest_offset(self)
    }
}

fn assignment(partition: &AssignedPartition) -> Assignment {
    Assignment {
        group: partition.group.clone(),
        topic: partition.topic.clone(),
        partition: partition.partition,
        partition_count: partition.partition_count,
    }
}

impl From<Error> for OrderError {
    fn from(error: Error) -> Self {
        let disposition = match error.disposition() {
            Disposition::Transient => OrderDisposition::Transient,
            Disposition::Superseded => OrderDisposition::Superseded,
            Disposition::Permanent => OrderDisposition::Permanent,
        };
        Self {
            disposition,
            source: Box::new(error),
        }
    }
}

impl From<WorkerError> for DrainError {
    fn from(error: WorkerError) -> Self {
        match error {
            WorkerError::Store { source, .. } => Self::Order(source.into()),
            WorkerError::Handler { origin, source, .. } => Self::Handler {
                origin,
                error: source,
            },
        }
    }
}

impl<S> fmt::Debug for OrderedLanes<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrderedLanes")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
