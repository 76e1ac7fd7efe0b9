//! Where lanes live: the steps, each of which is done or not done, whatever is killed meanwhile.

use std::future::Future;
use std::time::{Duration, SystemTime};

use cdc_event::{Attempt, DeadHead, Head, Record, Turn};

use crate::assignment::{Assignment, Epoch, Ownership};
use crate::error::Error;
use crate::lane_id::LaneId;
use crate::postgres::Operated;
use crate::remainder::Remainder;

/// Steps on lanes. Each is atomic: done as a whole or not at all. After [`Error::Postgres`], or when its future was
/// dropped, it is not known which; all may be done again.
///
/// [`LaneGuard`](crate::LaneGuard) and [`ClaimedLane`](crate::ClaimedLane) put them in the right order; nobody else
/// calls them.
pub trait LaneStore: Send + Sync + 'static {
    /// Makes the caller the owner of a partition. When it returns, nothing that an earlier owner does has an effect
    /// any more, and all that it did is in the answer.
    fn take_over(
        &self,
        assignment: &Assignment,
        committed: Option<i64>,
    ) -> impl Future<Output = Result<TakenOver, Error>> + Send;

    /// Puts in what is left of a record, whether its lane is open or not.
    fn open(
        &self,
        owner: &Ownership,
        lane: LaneId,
        record: &Record,
        remainders: &[Remainder],
        policy: DeadHead,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Puts a record in if its lane is open and holds less than `most` events.
    fn append(
        &self,
        owner: &Ownership,
        lane: LaneId,
        record: &Record,
        most: u64,
    ) -> impl Future<Output = Result<Appended, Error>> + Send;

    /// Removes up to `limit` lanes that are empty and whose last record is before `committed`, and says which with
    /// the offset of that record.
    fn forget(
        &self,
        owner: &Ownership,
        committed: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(LaneId, i64)>, Error>> + Send;

    /// Offsets of the partition mean other records from now on: nothing that is read is taken for what was read before.
    /// Every owner is refused until the partition is taken over again.
    fn restart(&self, assignment: &Assignment) -> impl Future<Output = Result<(), Error>> + Send;

    /// A record that was given up is tried again, as it is here: in its place, or in a lane by itself if those behind it
    /// went on. One that came back from the store of failed events, where it is `failed_event`, for this very attempt before,
    /// and was dealt with, is done.
    fn replay(
        &self,
        group: &str,
        record: &Record,
        attempt: Attempt,
        failed_event: Option<i64>,
    ) -> impl Future<Output = Result<Operated, Error>> + Send;

    /// Takes up to `limit` lanes that are due, the longest due first, for `lease`.
    fn claim(
        &self,
        group: &str,
        limit: usize,
        lease: Duration,
    ) -> impl Future<Output = Result<Vec<Lease>, Error>> + Send;

    /// What is next in a lane.
    fn head(&self, lease: &Lease) -> impl Future<Output = Result<Next, Error>> + Send;

    /// Takes out the head: it is dealt with. The lease begins anew, unless what else is left of the record is to be tried
    /// later: then the lane is let go until then.
    fn succeeded(
        &self,
        lease: &Lease,
        head: LaneEventId,
        term: Duration,
    ) -> impl Future<Output = Result<Rest, Error>> + Send;

    /// Puts what is left of the head in its place. If any of it is to be tried again, or only later what else is left of
    /// the record, the lane is let go until then; otherwise the lease begins anew.
    fn failed(
        &self,
        lease: &Lease,
        head: LaneEventId,
        remainders: &[Remainder],
        policy: DeadHead,
        term: Duration,
    ) -> impl Future<Output = Result<Rest, Error>> + Send;

    /// The lease begins anew.
    fn renew(
        &self,
        lease: &Lease,
        term: Duration,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Lets a lane go: it is due after `after`, or never, until an operator deals with its head.
    fn release(
        &self,
        lease: &Lease,
        after: Option<Duration>,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

/// What a new owner has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenOver {
    /// Its epoch.
    pub epoch: Epoch,
    /// Lanes that are open, or whose last record is not before the committed offset.
    pub lanes: Vec<KnownLane>,
}

/// What an owner knows of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownLane {
    /// Which.
    pub id: LaneId,
    /// Whether anything waits in it.
    pub open: bool,
    /// The offset of the last record that was put in; `None` if that was read from another partition.
    pub through: Option<i64>,
}

/// What came of [`LaneStore::append`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The record is in the lane, by this call or an earlier one.
    Parked,
    /// The lane is empty meanwhile: the record's turn has come.
    Drained,
    /// As many wait as may.
    Full,
}

/// The right to run a lane, until its time is over and somebody else takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The lane.
    pub lane: LaneId,
    /// Tells this lease from later ones.
    pub token: String,
}

/// The number of an event in a lane, as operators see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneEventId(i64);

/// An event of a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedEvent {
    /// Its number.
    pub id: LaneEventId,
    /// The record; its part, if only that is left to do.
    pub record: Record,
    /// How often it was tried; 0 for what only waited behind another.
    pub attempts: u32,
    /// How many delays between attempts it has waited through.
    pub delays: u16,
    /// How many workers in a row had it as their head and did not come back.
    pub abandoned: u32,
    /// When it failed first.
    pub first_failed_at: Option<SystemTime>,
    /// Whether it is tried.
    pub turn: Turn,
}

/// What is next in a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// An event to be handled, or given up.
    Event(Box<ParkedEvent>),
    /// Nothing before so long.
    Later(Duration),
    /// An event that was given up, and that the others wait for.
    Held,
}

/// What is left of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// There is more to do, and the lease goes on.
    More,
    /// The lane was let go: it is empty, or has to wait.
    Released,
}

impl LaneEventId {
    /// The event of this number.
    #[must_use]
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl std::fmt::Display for LaneEventId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl From<ParkedEvent> for Head {
    fn from(event: ParkedEvent) -> Self {
        Self {
            record: event.record,
            attempts: event.attempts,
            delays: event.delays,
            abandoned: event.abandoned,
            first_failed_at: event.first_failed_at,
            turn: event.turn,
        }
    }
}
