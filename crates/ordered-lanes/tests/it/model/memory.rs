//! Lanes in memory: what the steps mean, said as simply as can be.

mod state;
mod world;

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use cdc_event::{Attempt, Record};
use ordered_lanes::{
    Appended, Assignment, DeadHead, Epoch, Error, KnownLane, LaneEventId, LaneId, LaneStore, Lease,
    Next, Operated, Ownership, Remainder, Rest, TakenOver,
};

use self::state::State;

#[derive(Default)]
pub(crate) struct MemoryLanes(Mutex<State>);

impl MemoryLanes {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl LaneStore for MemoryLanes {
    async fn take_over(
        &self,
        assignment: &Assignment,
        committed: Option<i64>,
    ) -> Result<TakenOver, Error> {
        let mut state = self.state();
        let epoch = state.epochs.entry(assignment.partition).or_default();
        *epoch += 1;
        let epoch = Epoch::new(*epoch);
        let lanes = state.lanes.iter().filter_map(|(id, lane)| {
            let (here, open) = (
                lane.partition == assignment.partition,
                !lane.events.is_empty(),
            );
            let moved = lane.partition_count != assignment.partition_count;
            let wanted = if here {
                open || lane.last_offset >= committed.unwrap_or(0)
            } else {
                open && moved
            };
            wanted.then_some(KnownLane {
                id: *id,
                open,
                through: here.then_some(lane.last_offset),
            })
        });
        Ok(TakenOver {
            epoch,
            lanes: lanes.collect(),
        })
    }

    async fn open(
        &self,
        owner: &Ownership,
        lane: LaneId,
        record: &Record,
        remainders: &[Remainder],
        policy: DeadHead,
    ) -> Result<(), Error> {
        self.state()
            .put(owner, lane, record, Some((remainders, policy)), u64::MAX)
            .map(drop)
    }

    async fn append(
        &self,
        owner: &Ownership,
        lane: LaneId,
        record: &Record,
        most: u64,
    ) -> Result<Appended, Error> {
        self.state().put(owner, lane, record, None, most)
    }

    async fn forget(
        &self,
        owner: &Ownership,
        committed: i64,
        limit: usize,
    ) -> Result<Vec<(LaneId, i64)>, Error> {
        let mut state = self.state();
        let passed = state.lanes.iter().filter(|(_, lane)| {
            lane.partition == owner.assignment.partition
                && lane.events.is_empty()
                && lane.last_offset < committed
        });
        let passed: Vec<_> = passed
            .map(|(id, lane)| (*id, lane.last_offset))
            .take(limit)
            .collect();
        for (id, _) in &passed {
            state.lanes.remove(id);
        }
        Ok(passed)
    }

    async fn restart(&self, assignment: &Assignment) -> Result<(), Error> {
        let mut state = self.state();
        *state.epochs.entry(assignment.partition).or_default() += 1;
        state.lanes.retain(|_, lane| {
            if lane.partition == assignment.partition {
                lane.last_offset = -1;
            }
            lane.partition != assignment.partition || !lane.events.is_empty()
        });
        Ok(())
    }

    /// In a run nothing comes back.
    async fn replay(
        &self,
        _: &str,
        _: &Record,
        _: Attempt,
        _: Option<i64>,
    ) -> Result<Operated, Error> {
        Ok(Operated::Gone)
    }

    async fn claim(&self, _: &str, limit: usize, lease: Duration) -> Result<Vec<Lease>, Error> {
        let mut state = self.state();
        let now = state.now;
        let mut due: Vec<(Duration, LaneId)> = state
            .lanes
            .iter()
            .filter_map(|(id, lane)| lane.due.filter(|due| *due <= now).map(|due| (due, *id)))
            .collect();
        due.sort();
        due.truncate(limit);
        let mut leases = Vec::new();
        for (_, id) in due {
            let token = state.number().to_string();
            let lane = state.lanes.get_mut(&id).unwrap();
            lane.due = Some(now + lease);
            lane.token = Some(token.clone());
            leases.push(Lease { lane: id, token });
        }
        Ok(leases)
    }

    async fn head(&self, lease: &Lease) -> Result<Next, Error> {
        let mut state = self.state();
        let now = state.now;
        let lane = state.leased(lease)?;
        Ok(match lane.next(now) {
            None => Next::Held,
            Some(event) if event.due > now => Next::Later(event.due - now),
            Some(event) => Next::Event(Box::new(event.event.clone())),
        })
    }

    async fn succeeded(
        &self,
        lease: &Lease,
        head: LaneEventId,
        term: Duration,
    ) -> Result<Rest, Error> {
        self.state().settle(lease, head, &[], DeadHead::Hold, term)
    }

    async fn failed(
        &self,
        lease: &Lease,
        head: LaneEventId,
        remainders: &[Remainder],
        policy: DeadHead,
        term: Duration,
    ) -> Result<Rest, Error> {
        self.state().settle(lease, head, remainders, policy, term)
    }

    async fn renew(&self, lease: &Lease, term: Duration) -> Result<(), Error> {
        let mut state = self.state();
        let until = state.now + term;
        state.leased(lease)?.due = Some(until);
        Ok(())
    }

    async fn release(&self, lease: &Lease, after: Option<Duration>) -> Result<(), Error> {
        let mut state = self.state();
        let due = after.map(|after| state.now + after);
        let lane = state.leased(lease)?;
        (lane.due, lane.token) = (due, None);
        Ok(())
    }
}
