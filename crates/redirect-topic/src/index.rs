//! What an owner knows of its redirect partition.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cdc_kafka::Offset;

use crate::entry_id::{EntryId, EntryKey, Origin};
use crate::fact::{Fact, Owner, Waits};
use crate::lane::{DeadThrough, Entry, Lane, LaneKey};
use crate::log::SourcePartition;
use crate::memory::Memory;
use crate::settings::RedirectLimits;

/// All that waits in a redirect partition for one source partition, without most of the payloads.
///
/// It is made of what is written, whether that was found there or has just been written: one way into it. What is not
/// committed is not in it.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) of: SourcePartition,
    pub(crate) limits: RedirectLimits,
    pub(crate) owner: Option<Owner>,
    pub(crate) lanes: HashMap<LaneKey, Lane>,
    /// Where what is written under an id belongs: a tombstone does not say.
    lane_of: HashMap<EntryId, LaneKey>,
    dead_of: HashMap<EntryId, LaneKey>,
    /// Lanes by the time when they are due, but for those that somebody has.
    due: BTreeSet<(SystemTime, LaneKey)>,
    /// Lanes that somebody has.
    pub(crate) taken: HashSet<LaneKey>,
    /// Attempts that nobody came back from.
    pub(crate) begun: HashMap<EntryId, u32>,
    /// Left out, and not read again.
    pub(crate) skipped: HashSet<EntryId>,
    /// What others want, and nobody has done yet.
    pub(crate) wanted: BTreeMap<EntryKey, Option<Waits>>,
    memory: Arc<Memory>,
    waiting: usize,
    open: usize,
    /// No lane is given out any more.
    pub(crate) closing: bool,
}

/// What waits, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Backlog {
    /// Keys of which something waits.
    pub open_keys: u64,
    /// Keys that wait for an operator.
    pub held_keys: u64,
    /// Records that wait.
    pub waiting_records: u64,
    /// For how long the key that is due the longest is due.
    pub overdue: Duration,
    /// For how long the record that waits the longest waits.
    pub oldest: Duration,
}

/// Whether something was found, or has just been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Found,
    Written,
}

impl Index {
    pub(crate) fn new(of: SourcePartition, limits: RedirectLimits, memory: Arc<Memory>) -> Self {
        Self {
            of,
            limits,
            owner: None,
            lanes: HashMap::new(),
            lane_of: HashMap::new(),
            dead_of: HashMap::new(),
            due: BTreeSet::new(),
            taken: HashSet::new(),
            begun: HashMap::new(),
            skipped: HashSet::new(),
            wanted: BTreeMap::new(),
            memory,
            waiting: 0,
            open: 0,
            closing: false,
        }
    }

    /// Whether this owner was the last that took the partition over.
    pub(crate) fn is_of(&self, token: &str) -> bool {
        let owner = self.owner.as_ref();
        owner.is_some_and(|owner| owner.token == token)
    }

    /// Keys of which something waits since the source had another number of partitions: their next records may be in
    /// another partition.
    pub(crate) fn may_have_moved(&self) -> usize {
        let count = self.of.partition_count;
        let moved = |lane: &&Lane| {
            let mut entries = lane.entries.values();
            entries.any(|entry| entry.progress.partition_count != count)
        };
        self.lanes.values().filter(moved).count()
    }

    /// How often the source was made anew.
    pub(crate) fn generation(&self) -> u32 {
        self.owner.as_ref().map_or(0, |owner| owner.generation)
    }

    /// Takes in what was written about a key; `None` is a tombstone.
    pub(crate) fn absorb(&mut self, key: EntryKey, fact: Option<Fact>, at: Offset, source: Source) {
        match (key, fact) {
            (EntryKey::Entry(id), Some(Fact::Waits(waits))) => {
                let lane = LaneKey::of_written(&id, waits.record.key.as_deref());
                let Waits { record, progress } = waits;
                let entry = Entry {
                    at,
                    progress,
                    held: self.memory.hold(record),
                    found: source == Source::Found,
                };
                self.change(id, &lane, |lane, id| {
                    lane.entries.insert(id, entry);
                });
            }
            (EntryKey::Entry(id), Some(Fact::Done { key })) => {
                self.skipped.remove(&id);
                self.done(id, key.as_deref());
            }
            (EntryKey::Entry(id), Some(Fact::Skipped { key })) => {
                self.skipped.insert(id.clone());
                self.done(id, key.as_deref());
            }
            (EntryKey::Entry(id), _) => self.remove(&id),
            (EntryKey::Begun(id), Some(Fact::Begun(count))) => {
                // Of what is found it is not known what became of it.
                self.set_found(&id, source == Source::Found);
                self.begun.insert(id, count);
            }
            (EntryKey::Begun(id), _) => {
                self.set_found(&id, true);
                self.begun.remove(&id);
            }
            (
                EntryKey::Dead(id),
                Some(Fact::Dead {
                    key,
                    generation,
                    offset,
                }),
            ) => {
                let lane = LaneKey::of_written(&id, key.as_deref());
                let known = self.lanes.entry(lane.clone()).or_default();
                known.dead = Some(DeadThrough {
                    marker: id.clone(),
                    place: (generation, offset),
                });
                self.dead_of.insert(id, lane);
            }
            (EntryKey::Dead(id), _) => {
                if let Some(key) = self.dead_of.remove(&id) {
                    if let Some(lane) = self.lanes.get_mut(&key) {
                        lane.dead.take_if(|dead| dead.marker == id);
                    }
                    self.tidy(&key);
                }
            }
            (EntryKey::Owner { .. }, Some(Fact::Owner(owner))) => self.owner = Some(owner),
            (key @ EntryKey::Replay(_), Some(Fact::Replay(waits))) => {
                self.wanted.insert(key, Some(waits));
            }
            (key @ EntryKey::Discard(_), Some(Fact::Discard)) => {
                self.wanted.insert(key, None);
            }
            (key, _) => drop(self.wanted.remove(&key)),
        }
    }

    fn set_found(&mut self, id: &EntryId, found: bool) {
        let lane = self.lane_of.get(id).and_then(|key| self.lanes.get_mut(key));
        if let Some(entry) = lane.and_then(|lane| lane.entries.get_mut(id)) {
            entry.found = found;
        }
    }

    fn done(&mut self, id: EntryId, key: Option<&[u8]>) {
        let lane = LaneKey::of_written(&id, key);
        self.change(id, &lane, |lane, id| {
            lane.entries.remove(&id);
            lane.done.insert(id);
        });
    }

    fn remove(&mut self, id: &EntryId) {
        self.skipped.remove(id);
        if let Some(lane) = self.lane_of.remove(id) {
            self.change(id.clone(), &lane, |lane, id| {
                lane.entries.remove(&id);
                lane.done.remove(&id);
            });
            self.lane_of.remove(id);
        }
    }

    fn change(&mut self, id: EntryId, key: &LaneKey, change: impl FnOnce(&mut Lane, EntryId)) {
        let lane = self.lanes.entry(key.clone()).or_default();
        let (before, was_open) = (lane.entries.len(), lane.is_open());
        change(lane, id.clone());
        lane.not_before = None;
        self.waiting = self.waiting + lane.entries.len() - before;
        self.open = self.open + usize::from(lane.is_open()) - usize::from(was_open);
        self.lane_of.insert(id, key.clone());
        self.tidy(key);
    }

    /// Lets an empty lane go, and puts another where it is due.
    fn tidy(&mut self, key: &LaneKey) {
        let Some(lane) = self.lanes.get_mut(key) else {
            return;
        };
        if let Some(due) = lane.due.take() {
            self.due.remove(&(due, key.clone()));
        }
        if lane.is_empty() {
            self.lanes.remove(key);
        } else if let Some(due) = lane.ready_at().filter(|_| !self.taken.contains(key)) {
            lane.due = Some(due);
            self.due.insert((due, key.clone()));
        }
    }

    /// Forgets in memory what was skipped before this offset: it is not read again, and stays marked in the topic.
    pub(crate) fn keep_marked(&mut self, committed: i64) {
        let generation = self.generation();
        let is_over = |id: &&EntryId| id.generation < generation || id.offset < committed;
        let over: Vec<EntryId> = self.skipped.iter().filter(is_over).cloned().collect();
        for id in over {
            if let Some(key) = self.lane_of.remove(&id)
                && let Some(lane) = self.lanes.get_mut(&key)
            {
                lane.done.remove(&id);
                self.tidy(&key);
            }
        }
    }

    /// Takes a lane that is due, the longest due first.
    pub(crate) fn take(&mut self, now: SystemTime) -> Option<LaneKey> {
        let (due, _) = self.due.first()?;
        if *due > now || self.closing {
            return None;
        }
        let (_, key) = self.due.pop_first()?;
        if let Some(lane) = self.lanes.get_mut(&key) {
            lane.due = None;
        }
        self.taken.insert(key.clone());
        Some(key)
    }

    /// Gives a lane back; it is not taken again before a time.
    pub(crate) fn give_back(&mut self, key: &LaneKey, not_before: SystemTime) {
        self.taken.remove(key);
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.not_before = Some(not_before);
        }
        self.tidy(key);
    }

    /// When the next lane is due.
    pub(crate) fn next_due(&self) -> Option<SystemTime> {
        let first = self.due.first().filter(|_| !self.closing);
        first.map(|(due, _)| *due)
    }

    pub(crate) const fn waiting(&self) -> usize {
        self.waiting
    }

    pub(crate) const fn open(&self) -> usize {
        self.open
    }

    /// Takes over who has which lane from the index that this one replaces.
    pub(crate) fn replaces(&mut self, before: &mut Self) {
        self.closing = before.closing;
        self.taken = std::mem::take(&mut before.taken);
        let taken: Vec<LaneKey> = self.taken.iter().cloned().collect();
        for key in taken {
            self.tidy(&key);
        }
    }

    /// The highest offset that is remembered, of those that mean what they mean now.
    pub(crate) fn newest_offset(&self) -> Option<i64> {
        let generation = self.generation();
        let of_lanes = self.lanes.values();
        of_lanes.filter_map(|lane| lane.through(generation)).max()
    }

    /// Where the lane of an entry is.
    pub(crate) fn lane_of(&self, id: &EntryId) -> Option<&LaneKey> {
        self.lane_of.get(id)
    }

    /// The lane of the record of this origin, if it waits.
    pub(crate) fn lane_of_origin(&self, origin: &Origin) -> Option<&LaneKey> {
        self.ids(origin).find_map(|id| self.lane_of.get(&id))
    }

    /// Holds a record that was read again, if it still waits there and there is room.
    pub(crate) fn hold(&mut self, id: &EntryId, at: Offset, record: &cdc_event::Record) {
        let lane = self.lane_of.get(id).and_then(|key| self.lanes.get_mut(key));
        if let Some(entry) = lane.and_then(|lane| lane.entries.get_mut(id))
            && entry.at == at
            && entry.held.is_none()
        {
            entry.held = self.memory.hold(record.clone());
        }
    }

    pub(crate) fn backlog(&self, now: SystemTime) -> Backlog {
        let since = |time: SystemTime| now.duration_since(time).unwrap_or_default();
        let open = || self.lanes.values().filter(|lane| lane.is_open());
        let entries = open().flat_map(|lane| lane.entries.values());
        let oldest = entries.map(|entry| entry.progress.parked_at()).min();
        Backlog {
            open_keys: self.open as u64,
            held_keys: open().filter(|lane| lane.is_held()).count() as u64,
            waiting_records: self.waiting as u64,
            overdue: self
                .due
                .first()
                .map(|(due, _)| since(*due))
                .unwrap_or_default(),
            oldest: oldest.map(since).unwrap_or_default(),
        }
    }
}

impl Backlog {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            open_keys: self.open_keys + other.open_keys,
            held_keys: self.held_keys + other.held_keys,
            waiting_records: self.waiting_records + other.waiting_records,
            overdue: self.overdue.max(other.overdue),
            oldest: self.oldest.max(other.oldest),
        }
    }
}
