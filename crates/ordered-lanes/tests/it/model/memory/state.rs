//! The lanes, and what the steps do to them.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use cdc_event::{Fate, Record, Turn};
use ordered_lanes::{
    Appended, Assignment, DeadHead, Error, EventStatus, LaneEventId, LaneId, Lease, Ownership,
    ParkedEvent, Remainder, Rest,
};

#[derive(Default)]
pub(super) struct State {
    pub(super) now: Duration,
    pub(super) numbers: i64,
    pub(super) epochs: HashMap<i32, i64>,
    pub(super) lanes: HashMap<LaneId, Lane>,
    pub(super) dead: Vec<Event>,
}

pub(super) struct Lane {
    pub(super) partition: i32,
    pub(super) partition_count: i32,
    pub(super) last_offset: i64,
    pub(super) due: Option<Duration>,
    pub(super) token: Option<String>,
    pub(super) events: Vec<Event>,
}

pub(super) struct Event {
    pub(super) event: ParkedEvent,
    pub(super) status: EventStatus,
    pub(super) due: Duration,
}

impl Lane {
    /// What is left to do of the first record: of what is due the part that was tried least, or the first that will be.
    pub(super) fn next(&self, now: Duration) -> Option<&Event> {
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
    pub(super) fn number(&mut self) -> i64 {
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

    pub(super) fn leased(&mut self, lease: &Lease) -> Result<&mut Lane, Error> {
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

    pub(super) fn put(
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

    pub(super) fn settle(
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
