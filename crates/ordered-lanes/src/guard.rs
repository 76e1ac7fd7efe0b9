//! The consumer's side: whose turn it is, and where a record goes that failed.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cdc_event::{Admission, DeadHead, Record};
use metrics::counter;

use crate::assignment::{Assignment, Epoch, Ownership};
use crate::error::Error;
use crate::known::{KnownLanes, View};
use crate::lane_id::LaneId;
use crate::metric;
use crate::remainder::Remainder;
use crate::store::{Appended, LaneStore};

/// Lanes that are removed in one step.
const FORGET_BATCH: usize = 1000;

/// Keeps the records of each key of a partition in order. One for each assignment of the partition: it ends when
/// the partition is assigned again, here or elsewhere, whether anybody tells it or not.
///
/// For each record, in the order of its key and the next one only after it: [`admit`](Self::admit). If that says
/// [`Admission::Process`], the handler is called, and if it fails, [`park`](Self::park). Then the offset may be
/// stored. Records of different keys may go through at the same time.
///
/// A key without a failure costs no call to the database. In memory are the keys that are open, some 100 bytes each,
/// and no record.
pub struct LaneGuard<S> {
    store: Arc<S>,
    owner: Ownership,
    limits: GuardLimits,
    known: Mutex<KnownLanes>,
    newest: Option<i64>,
}

/// Bounds and policy of a [`LaneGuard`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardLimits {
    /// How many keys of the partition may be open. Beyond it [`LaneGuard::park`] refuses.
    pub open_keys: usize,
    /// How many events may wait for one key. Beyond it [`LaneGuard::admit`] refuses.
    pub events_of_key: u64,
    /// What becomes of the records behind one that is given up.
    pub dead_head: DeadHead,
}

impl<S: LaneStore> LaneGuard<S> {
    /// Takes a partition over: earlier guards of it are refused from now on, and what they did is known to this one.
    /// No record of the partition may be handled before it returns.
    ///
    /// `committed` is the offset that the group's consumer starts at, if one was committed.
    ///
    /// Cancellation safe: a dropped call at most ends the earlier guards.
    ///
    /// # Errors
    ///
    /// As of the store. It waits for what an earlier guard is doing, so whoever can't wait sets a limit.
    pub async fn take_over(
        store: Arc<S>,
        assignment: Assignment,
        committed: Option<i64>,
        limits: GuardLimits,
    ) -> Result<Self, Error> {
        let taken = store.take_over(&assignment, committed).await?;
        Ok(Self {
            store,
            owner: Ownership {
                assignment,
                epoch: taken.epoch,
            },
            limits,
            newest: taken.lanes.iter().filter_map(|lane| lane.through).max(),
            known: Mutex::new(KnownLanes::new(taken.lanes)),
        })
    }

    /// Whether a record's turn has come. If not, it is in its lane when this returns.
    ///
    /// May be dropped and done again. After an error the record was not admitted, and neither may be any later one
    /// of its key.
    ///
    /// # Errors
    ///
    /// [`Error::Fenced`]: the partition is another's, and so is this record. [`Error::NotOfPartition`].
    /// [`Error::LaneFull`]: it passes when some that wait were dealt with, so wait. Otherwise as of the store; only for
    /// a key that is open.
    pub async fn admit(&self, record: &Record) -> Result<Admission, Error> {
        let lane = self.lane(record)?;
        let view = self.known().view(lane, record.origin.offset);
        match view {
            View::Free => return Ok(Admission::Process),
            View::DealtWith => return Ok(Admission::DealtWith),
            View::MaybeOpen => {}
        }
        let most = self.limits.events_of_key;
        match self.store.append(&self.owner, lane, record, most).await? {
            Appended::Parked => {
                self.known().put(lane, record.origin.offset);
                self.count(metric::REASON_FOLLOWER);
                Ok(Admission::Parked)
            }
            Appended::Drained => {
                self.known().drained(lane);
                Ok(Admission::Process)
            }
            Appended::Full => Err(Error::LaneFull {
                record: record.origin.clone(),
                events: most,
            }),
        }
    }

    /// Puts what is left of a record that failed into its lane; from then on its key is open, unless the record is
    /// given up and nothing waits for it. When it returns, the offset may be stored.
    ///
    /// May be dropped and done again. Until it was done, no later record of the key may be admitted.
    ///
    /// # Errors
    ///
    /// [`Error::Full`] when it would be one open key too many: it passes when others have drained, so wait. Otherwise
    /// as of [`admit`](Self::admit).
    pub async fn park(&self, record: &Record, remainders: &[Remainder]) -> Result<(), Error> {
        if remainders.is_empty() {
            return Ok(());
        }
        let lane = self.lane(record)?;
        {
            let mut known = self.known();
            let open = known.open();
            if open >= self.limits.open_keys && !known.is_open(lane) {
                let assignment = self.owner.assignment.clone();
                return Err(Error::Full { assignment, open });
            }
            // Before the call: it may succeed without an answer.
            known.opening(lane);
        }
        self.store
            .open(&self.owner, lane, record, remainders, self.limits.dead_head)
            .await?;
        self.known().put(lane, record.origin.offset);
        self.count(metric::REASON_FAILED);
        Ok(())
    }

    /// Removes what is kept of lanes that are empty and whose records are all before `committed`, so that none of
    /// them is ever read again. To be called now and then, with the offset that Kafka has.
    ///
    /// May be dropped and done again.
    ///
    /// # Errors
    ///
    /// As of the store.
    pub async fn forget(&self, committed: i64) -> Result<(), Error> {
        loop {
            let removed = self
                .store
                .forget(&self.owner, committed, FORGET_BATCH)
                .await?;
            let mut known = self.known();
            for (lane, through) in &removed {
                known.removed(*lane, *through);
            }
            if removed.len() < FORGET_BATCH {
                return Ok(());
            }
        }
    }

    /// How many keys of the partition are open, as far as is known here.
    #[must_use]
    pub fn open_keys(&self) -> usize {
        self.known().open()
    }

    /// The highest offset of the partition that is remembered, as of the time when it was taken over.
    #[must_use]
    pub const fn newest_offset(&self) -> Option<i64> {
        self.newest
    }

    pub(crate) fn group(&self) -> &str {
        &self.owner.assignment.group
    }

    pub(crate) const fn dead_head(&self) -> DeadHead {
        self.limits.dead_head
    }

    /// The epoch of this assignment.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.owner.epoch
    }

    fn count(&self, reason: &'static str) {
        let group = self.owner.assignment.group.clone();
        counter!(metric::PARKED, metric::GROUP => group, metric::REASON => reason).increment(1);
    }

    fn lane(&self, record: &Record) -> Result<LaneId, Error> {
        let assignment = &self.owner.assignment;
        let origin = &record.origin;
        if origin.partition != assignment.partition || origin.topic != assignment.topic {
            return Err(Error::NotOfPartition {
                record: origin.clone(),
                assignment: assignment.clone(),
            });
        }
        Ok(LaneId::of(&assignment.group, record))
    }

    fn known(&self) -> MutexGuard<'_, KnownLanes> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> fmt::Debug for LaneGuard<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaneGuard")
            .field("owner", &self.owner)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
