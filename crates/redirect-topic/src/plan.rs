//! What is written for each thing that is asked of an owner. Nothing of it has an effect before it is committed.

mod operate;

use std::time::SystemTime;

use cdc_event::{
    Admission, Attempt, DeadHead, ErrorCode, Fate, HandlerError, PartId, Record, Unfinished,
};
use cdc_kafka::Offset;

pub(crate) use self::operate::{Operated, Returning};
use crate::entry_id::{EntryId, EntryKey, Origin};
use crate::error::Error;
use crate::fact::{Fact, Progress, Waits, id_of, millis};
use crate::index::Index;
use crate::lane::{Entry, Lane, LaneKey};
use crate::remainder::{give_up_behind, keeps_waiting, remainders};

/// A fact about a key; `None` is a tombstone.
pub(crate) type Write = (EntryKey, Option<Fact>);

/// What is to be written, and what is answered when it is.
#[derive(Debug)]
pub(crate) struct Planned<T> {
    pub(crate) writes: Vec<Write>,
    pub(crate) answer: T,
}

/// What is left of a record after an attempt.
#[derive(Debug, Clone)]
pub(crate) struct Left {
    pub(crate) part: Option<PartId>,
    pub(crate) attempt: Attempt,
    pub(crate) code: ErrorCode,
    pub(crate) fate: Fate,
    pub(crate) delays: u16,
}

/// What is known about a record before anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// Nothing is before it.
    Free,
    /// Something is before it.
    Behind,
    /// It was dealt with, or waits, and is read again.
    DealtWith,
}

/// The head of a lane, as it was when it was given out.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) lane: LaneKey,
    pub(crate) id: EntryId,
    pub(crate) at: Offset,
}

/// Facts that are removed in one go.
const FORGOTTEN: usize = 1000;

impl<T> Planned<T> {
    pub(crate) const fn nothing(answer: T) -> Self {
        Self {
            writes: Vec::new(),
            answer,
        }
    }
}

impl Left {
    pub(crate) fn of(unfinished: &Unfinished) -> Self {
        let code = HandlerError::code(&unfinished.error).clone();
        Self {
            part: unfinished.part.clone(),
            attempt: unfinished.attempt,
            code,
            fate: unfinished.fate,
            delays: unfinished.delays,
        }
    }
}

impl Index {
    pub(crate) fn view(&self, record: &Record) -> View {
        // As nearly always: no key need be copied for it.
        if self.lanes.is_empty() {
            return View::Free;
        }
        let generation = self.generation();
        let Some(lane) = self.lanes.get(&LaneKey::of(record, generation)) else {
            return View::Free;
        };
        let through = lane.through(generation);
        if through.is_some_and(|through| record.origin.offset <= through) {
            View::DealtWith
        } else if lane.is_open() {
            View::Behind
        } else {
            View::Free
        }
    }

    /// See [`PartitionOrder::admit`](cdc_event::PartitionOrder::admit).
    pub(crate) fn admit(
        &self,
        record: &Record,
        now: SystemTime,
    ) -> Result<Planned<Admission>, Error> {
        match self.view(record) {
            View::Free => return Ok(Planned::nothing(Admission::Process)),
            View::DealtWith => return Ok(Planned::nothing(Admission::DealtWith)),
            View::Behind => {}
        }
        self.has_room()?;
        let progress = self.progress(now);
        let waits = Waits {
            record: record.clone(),
            progress,
        };
        let key = EntryKey::Entry(id_of(record, self.generation()));
        Ok(Planned {
            writes: vec![(key, Some(Fact::Waits(waits)))],
            answer: Admission::Parked,
        })
    }

    /// See [`PartitionOrder::park`](cdc_event::PartitionOrder::park).
    pub(crate) fn park(
        &self,
        record: &Record,
        left: &[Left],
        policy: DeadHead,
        now: SystemTime,
    ) -> Result<Planned<()>, Error> {
        let view = self.view(record);
        if left.is_empty() || view == View::DealtWith {
            return Ok(Planned::nothing(()));
        }
        if view == View::Free && self.open() >= self.limits.open_keys {
            return Err(self.full("keys", self.open()));
        }
        self.has_room()?;
        let id = id_of(record, self.generation());
        let mut writes = remainders(&id, record, &self.progress(now), left, policy, now);
        if writes.is_empty() {
            let key = record.key.clone();
            writes.push((EntryKey::Entry(id), Some(Fact::Done { key })));
        }
        Ok(Planned { writes, answer: () })
    }

    /// What became of the head of a lane that was given out. If it is another one by now, this was written before.
    pub(crate) fn settle(
        &self,
        given: &Given,
        record: &Record,
        left: &[Left],
        policy: DeadHead,
        now: SystemTime,
    ) -> Planned<()> {
        let Some((lane, entry)) = self.given(given) else {
            return Planned::nothing(());
        };
        let id = &given.id;
        let mut writes = self.not_begun(id);
        let mut rest = remainders(id, record, &entry.progress, left, policy, now);
        if !rest
            .iter()
            .any(|(key, _)| *key == EntryKey::Entry(id.clone()))
        {
            let is_known = !rest.is_empty();
            writes.extend(self.dealt_with(lane, id, record.key.as_deref(), is_known));
        }
        let is_dead = left.iter().any(|left| left.fate == Fate::Dead);
        if is_dead && policy == DeadHead::DeadLetterLane {
            writes.extend(give_up_behind(lane, id, record.key.as_deref()));
        }
        let stays = |key: &EntryId| {
            key != id
                && lane
                    .dead
                    .as_ref()
                    .is_some_and(|dead| key.place() <= dead.place)
        };
        let is_last = !lane.entries.keys().any(stays) && !keeps_waiting(&rest);
        if let Some(dead) = lane.dead.as_ref().filter(|_| is_last) {
            writes.push((EntryKey::Dead(dead.marker.clone()), None));
        }
        writes.append(&mut rest);
        Planned { writes, answer: () }
    }

    /// An attempt is begun that may end its owner. The answer is how many did before.
    pub(crate) fn begin(&self, given: &Given) -> Planned<u32> {
        let before = self.begun.get(&given.id).copied().unwrap_or(0);
        let mut planned = Planned::nothing(before);
        if self.given(given).is_some() {
            let fact = Fact::Begun(before.saturating_add(1));
            planned
                .writes
                .push((EntryKey::Begun(given.id.clone()), Some(fact)));
        }
        planned
    }

    /// An attempt ended before it came to anything, and its owner knows.
    pub(crate) fn let_go(&self, given: &Given) -> Planned<()> {
        Planned {
            writes: self.not_begun(&given.id),
            answer: (),
        }
    }

    /// Removes what is remembered of records that are never read again. Whether there is more of it.
    pub(crate) fn forget(&self, committed: i64) -> Planned<bool> {
        let generation = self.generation();
        let is_over = |id: &&EntryId| id.generation < generation || id.offset < committed;
        let done = self.lanes.values().flat_map(|lane| &lane.done);
        let over = done
            .filter(is_over)
            .filter(|id| !self.skipped.contains(*id));
        let writes: Vec<Write> = over
            .take(FORGOTTEN)
            .map(|id| (EntryKey::Entry(id.clone()), None))
            .collect();
        Planned {
            answer: writes.len() == FORGOTTEN,
            writes,
        }
    }

    fn given(&self, given: &Given) -> Option<(&Lane, &Entry)> {
        let lane = self.lanes.get(&given.lane)?;
        let entry = lane.entries.get(&given.id)?;
        (entry.at == given.at).then_some((lane, entry))
    }

    /// What a record of this origin may be called, the newest first.
    pub(crate) fn ids(&self, origin: &Origin) -> impl Iterator<Item = EntryId> + use<> {
        let Origin {
            partition,
            offset,
            part,
        } = origin.clone();
        let generations = (0..=self.generation()).rev();
        generations.flat_map(move |generation| {
            let part = part.clone();
            [true, false].map(|alone| EntryId {
                alone,
                generation,
                partition,
                offset,
                part: part.clone(),
            })
        })
    }

    /// Takes a record out. If nothing else tells that it was read, that is remembered.
    pub(super) fn dealt_with(
        &self,
        lane: &Lane,
        id: &EntryId,
        key: Option<&[u8]>,
        is_known: bool,
    ) -> Vec<Write> {
        let generation = self.generation();
        let others = lane
            .entries
            .keys()
            .chain(&lane.done)
            .filter(|other| *other != id);
        let tells = |other: &EntryId| {
            !other.alone && other.generation == generation && other.offset >= id.offset
        };
        let is_told = is_known || others.into_iter().any(tells);
        let mut writes = Vec::new();
        if is_told || id.alone || id.generation < generation {
            writes.push((EntryKey::Entry(id.clone()), None));
        } else {
            if id.part.is_some() {
                writes.push((EntryKey::Entry(id.clone()), None));
            }
            let key = key.map(<[u8]>::to_vec);
            writes.push((EntryKey::Entry(id.whole()), Some(Fact::Done { key })));
        }
        writes
    }

    pub(super) fn not_begun(&self, id: &EntryId) -> Vec<Write> {
        let begun = self.begun.contains_key(id);
        let write = || (EntryKey::Begun(id.clone()), None);
        begun.then(write).into_iter().collect()
    }

    pub(super) fn progress(&self, now: SystemTime) -> Progress {
        Progress {
            held: false,
            attempts: 0,
            delays: 0,
            first_failed_ms: None,
            due_ms: None,
            parked_ms: millis(now),
            partition_count: self.of.partition_count,
            code: None,
        }
    }

    fn has_room(&self) -> Result<(), Error> {
        if self.waiting() < self.limits.records {
            return Ok(());
        }
        Err(self.full("records", self.waiting()))
    }

    fn full(&self, what: &'static str, waiting: usize) -> Error {
        Error::Full {
            partition: self.of.to_string(),
            what,
            waiting,
        }
    }
}

impl LaneKey {
    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Key(key) => Some(key),
            Self::Alone(_) => None,
        }
    }
}
