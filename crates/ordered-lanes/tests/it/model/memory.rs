//! Lanes in memory: what the steps mean, said as simply as can be.

mod world;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use cdc_event::{Attempt, Fate, Record, Turn};
use ordered_lanes::{
    Appended, Assignment, DeadHead, Epoch, Error, EventStatus, KnownLane, LaneEventId, LaneId,
    LaneStore, Lease, Next, Operated, Ownership, ParkedEvent, Remainder, Rest, TakenOver,
};

#[derive(Default)]
pub(crate) struct MemoryLanes(Mutex<State>);

#[derive(Default)]
struct State {
    now: Duration,
    numbers: i64,
    epochs: HashMap<i32, i64>,
    lanes: HashMap<LaneId, Lane>,
    dead: Vec<Event>,
}

struct Lane {
    partition: i32,
    partition_count: i32,
    last_offset: i64,
    due: Option<Duration>,
    token: Option<String>,
    events: Vec<Event>,
}

struct Event {
    event: ParkedEvent,
    status: EventStatus,
    due: Duration,
}

impl Lane {
    /// What is left to do of the first record: of what is due the part that was tried least, or the first that will be.
    fn next(&self, now: Duration) -> Option<&Event> {
        let offset = |event: &Event| event.event.record.origin.offset;
        let first = self.events.first().map(offset);
        let open = self
            .events
            .iter()
            .filter(|event| event.status == EventStatus::Open && Some(offset(event)) == first);
        open.min_by_key(|event| {
            let part = event.event.record.part.clone();
            (event.due.max(now), event.event.attempts, part)
        })
    }
}

impl State {
    fn number(&mut self) -> i64 {
        self.numbers += 1;
        self.numbers
    }

    fn owned(&self, owner: &Ownership) -> Result<(), Error> {
        let newest = self.epochs.get(&owner.assignment.partition);
        if newest == Some(&owner.epoch.get()) {
            Ok(())
        } else {
            Err(Error::Fenced(owner.assignment.clone()))
        }
    }

    fn leased(&mut self, lease: &Lease) -> Result<&mut Lane, Error> {
        let lane = self.lanes.get_mut(&lease.lane);
        lane.filter(|lane| lane.token.as_ref() == Some(&lease.token))
            .ok_or(Error::LeaseLost)
    }

    /// Puts in what is left of `event`, before those that are at `place`; what does not block is dead.
    fn insert(
        &mut self,
        id: LaneId,
        place: usize,
        event: &ParkedEvent,
        left: &[Remainder],
        policy: DeadHead,
    ) {
        let (mut place, now) = (place, self.now);
        for remainder in left {
            let mut event = event.clone();
            event.id = LaneEventId::new(self.number());
            event.record.part.clone_from(&remainder.part);
            event.attempts = remainder.attempt.number.get();
            event.delays = remainder.delays;
            event.first_failed_at = Some(SystemTime::UNIX_EPOCH);
            event.turn = Turn::Try;
            let status = remainder.status(policy);
            let due = match remainder.fate {
                Fate::Again(after) => now + after,
                Fate::Dead => now,
            };
            let event = Event { event, status, due };
            if status.blocks() {
                self.lanes.get_mut(&id).unwrap().events.insert(place, event);
                place += 1;
            } else {
                self.dead.push(event);
            }
        }
    }

    fn put(
        &mut self,
        owner: &Ownership,
        id: LaneId,
        record: &Record,
        left: Option<(&[Remainder], DeadHead)>,
        most: u64,
    ) -> Result<Appended, Error> {
        self.owned(owner)?;
        let Assignment {
            partition,
            partition_count,
            ..
        } = owner.assignment;
        let offset = record.origin.offset;
        let (known, waiting) = self.lanes.get(&id).map_or((false, 0), |lane| {
            (
                lane.partition == partition && lane.last_offset >= offset,
                lane.events.len(),
            )
        });
        let open = waiting > 0;
        if known {
            return Ok(Appended::Parked);
        }
        if left.is_none() && !open {
            return Ok(Appended::Drained);
        }
        if left.is_none() && waiting as u64 >= most {
            return Ok(Appended::Full);
        }
        let event = ParkedEvent {
            id: LaneEventId::new(self.number()),
            record: record.clone(),
            attempts: 0,
            delays: 0,
            abandoned: 0,
            first_failed_at: None,
            turn: Turn::Try,
        };
        let now = self.now;
        let lane = self.lanes.entry(id).or_insert(Lane {
            partition,
            partition_count,
            last_offset: offset,
            due: None,
            token: None,
            events: Vec::new(),
        });
        (lane.partition, lane.partition_count, lane.last_offset) =
            (partition, partition_count, offset);
        let place = lane.events.len();
        match left {
            None => lane.events.push(Event {
                event,
                status: EventStatus::Open,
                due: now,
            }),
            Some((left, policy)) => self.insert(id, place, &event, left, policy),
        }
        let lane = self.lanes.get_mut(&id).unwrap();
        if !open && !lane.events.is_empty() {
            lane.due = left
                .and_then(|(left, _)| due(left))
                .map(|after| now + after);
        }
        Ok(Appended::Parked)
    }

    fn settle(
        &mut self,
        lease: &Lease,
        head: LaneEventId,
        left: &[Remainder],
        policy: DeadHead,
        term: Duration,
    ) -> Result<Rest, Error> {
        let now = self.now;
        let lane = self.leased(lease)?;
        if let Some(place) = lane.events.iter().position(|event| event.event.id == head) {
            let event = lane.events.remove(place);
            self.insert(lease.lane, place, &event.event, left, policy);
            let dead = left
                .iter()
                .any(|left| left.status(policy) == EventStatus::DeadLettered);
            if dead && event.event.turn == Turn::Try {
                let lane = self.leased(lease)?;
                let offset = event.event.record.origin.offset;
                for other in &mut lane.events {
                    if other.event.record.origin.offset != offset {
                        other.event.turn = Turn::GiveUp;
                    }
                }
            }
        }
        let lane = self.leased(lease)?;
        let next = lane.next(now).map(|event| event.due);
        let keep =
            !lane.events.is_empty() && due(left).is_none() && next.is_none_or(|next| next <= now);
        lane.due = match lane.events.is_empty() {
            true => None,
            false if keep => Some(now + term),
            false => Some(next.unwrap_or(now)),
        };
        if !keep {
            lane.token = None;
        }
        Ok(if keep { Rest::More } else { Rest::Released })
    }
}

fn due(left: &[Remainder]) -> Option<Duration> {
    let again = left.iter().filter_map(|left| match left.fate {
        Fate::Again(after) => Some(after),
        Fate::Dead => None,
    });
    again.min()
}

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
