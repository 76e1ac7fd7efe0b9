//! A store whose next step ends in a crash: before it is done, or after.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cdc_event::{Attempt, Record};
use ordered_lanes::{
    Appended, Assignment, DeadHead, Error, LaneEventId, LaneId, LaneStore, Lease, Next, Operated,
    Ownership, Remainder, Rest, TakenOver,
};

/// Where the next step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailPoint {
    /// Nothing was written.
    Before,
    /// It was written, and nobody was told.
    After,
}

/// Says which step fails.
#[derive(Debug, Default)]
pub(crate) struct Fuse {
    /// Where, and how many steps go well before.
    next: Mutex<Option<(usize, FailPoint)>>,
}

pub(crate) struct Faulty<S> {
    pub(crate) inner: Arc<S>,
    fuse: Arc<Fuse>,
}

impl Fuse {
    /// The step after so many others fails here.
    pub(crate) fn arm_after(&self, steps: usize, point: FailPoint) {
        *self.next.lock().unwrap() = Some((steps, point));
    }

    /// The next step fails here.
    pub(crate) fn arm(&self, point: Option<FailPoint>) {
        *self.next.lock().unwrap() = point.map(|point| (0, point));
    }

    /// Whether this step fails, and where.
    pub(crate) fn fires(&self) -> Option<FailPoint> {
        let mut next = self.next.lock().unwrap();
        let (steps, point) = (*next)?;
        *next = steps.checked_sub(1).map(|steps| (steps, point));
        (steps == 0).then_some(point)
    }
}

impl<S> Faulty<S> {
    pub(crate) fn new(inner: Arc<S>) -> Self {
        Self::with(inner, Arc::default())
    }

    /// With a fuse that others may have too.
    pub(crate) fn with(inner: Arc<S>, fuse: Arc<Fuse>) -> Self {
        Self { inner, fuse }
    }

    /// The next step fails here.
    pub(crate) fn arm(&self, point: Option<FailPoint>) {
        self.fuse.arm(point);
    }

    /// The step after so many others fails here.
    pub(crate) fn arm_after(&self, steps: usize, point: FailPoint) {
        self.fuse.arm_after(steps, point);
    }

    /// Whether a step is still going to fail.
    pub(crate) fn is_armed(&self) -> bool {
        self.fuse.next.lock().unwrap().is_some()
    }

    async fn step<T>(&self, step: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let crash = Error::Postgres {
            doing: "crash",
            source: pg_replication::Error::Closed,
        };
        match self.fuse.fires() {
            None => step.await,
            Some(FailPoint::Before) => Err(crash),
            Some(FailPoint::After) => step.await.and(Err(crash)),
        }
    }
}

impl<S: LaneStore> LaneStore for Faulty<S> {
    async fn take_over(
        &self,
        assignment: &Assignment,
        committed: Option<i64>,
    ) -> Result<TakenOver, Error> {
        self.step(self.inner.take_over(assignment, committed)).await
    }

    async fn open(
        &self,
        owner: &Ownership,
        lane: LaneId,
        record: &Record,
        remainders: &[Remainder],
        policy: DeadHead,
    ) -> Result<(), Error> {
        self.step(self.inner.open(owner, lane, record, remainders, policy))
            .await
    }

    async fn append(
        &self,
        owner: &Ownership,
        lane: LaneId,
        record: &Record,
        most: u64,
    ) -> Result<Appended, Error> {
        self.step(self.inner.append(owner, lane, record, most))
            .await
    }

    async fn forget(
        &self,
        owner: &Ownership,
        committed: i64,
        limit: usize,
    ) -> Result<Vec<(LaneId, i64)>, Error> {
        self.step(self.inner.forget(owner, committed, limit)).await
    }

    async fn restart(&self, assignment: &Assignment) -> Result<(), Error> {
        self.step(self.inner.restart(assignment)).await
    }

    async fn replay(
        &self,
        group: &str,
        record: &Record,
        attempt: Attempt,
        failed_event: Option<i64>,
    ) -> Result<Operated, Error> {
        let replayed = self.inner.replay(group, record, attempt, failed_event);
        self.step(replayed).await
    }

    async fn claim(&self, group: &str, limit: usize, lease: Duration) -> Result<Vec<Lease>, Error> {
        self.step(self.inner.claim(group, limit, lease)).await
    }

    async fn head(&self, lease: &Lease) -> Result<Next, Error> {
        self.step(self.inner.head(lease)).await
    }

    async fn succeeded(
        &self,
        lease: &Lease,
        head: LaneEventId,
        term: Duration,
    ) -> Result<Rest, Error> {
        self.step(self.inner.succeeded(lease, head, term)).await
    }

    async fn failed(
        &self,
        lease: &Lease,
        head: LaneEventId,
        remainders: &[Remainder],
        policy: DeadHead,
        term: Duration,
    ) -> Result<Rest, Error> {
        self.step(self.inner.failed(lease, head, remainders, policy, term))
            .await
    }

    async fn renew(&self, lease: &Lease, term: Duration) -> Result<(), Error> {
        self.step(self.inner.renew(lease, term)).await
    }

    async fn release(&self, lease: &Lease, after: Option<Duration>) -> Result<(), Error> {
        self.step(self.inner.release(lease, after)).await
    }
}
