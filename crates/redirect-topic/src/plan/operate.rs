//! What is written when somebody deals with a record that was given up.

use std::time::SystemTime;

use cdc_event::Record;

use super::{Planned, Write};
use crate::entry_id::{EntryId, EntryKey, Origin};
use crate::fact::{Fact, Progress, millis};
use crate::index::Index;
use crate::lane::{Entry, LaneKey};
use crate::remainder::waits;

/// What came of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operated {
    Done,
    /// Nothing is known of it.
    Unknown,
    /// It is being dealt with at this moment.
    Busy,
}

/// A record that comes back.
#[derive(Debug, Clone)]
pub(crate) struct Returning {
    pub(crate) record: Record,
    /// As far as the record itself says.
    pub(crate) attempts: u32,
    pub(crate) first_failed: Option<SystemTime>,
    /// Whether it is taken if nothing is known of it.
    pub(crate) in_any_case: bool,
}

impl Index {
    /// See [`KeyOrder::replay`](cdc_event::KeyOrder::replay).
    pub(crate) fn replay(&self, returning: &Returning, now: SystemTime) -> Planned<Operated> {
        let record = &returning.record;
        let origin = Origin::of(&record.origin, record.part.as_ref());
        if let Some((key, id, entry)) = self.failed(&origin) {
            if self.taken.contains(key) {
                return Planned::nothing(Operated::Busy);
            }
            let progress = Progress {
                held: false,
                due_ms: None,
                delays: 1,
                ..entry.progress.clone()
            };
            let mut writes = self.not_begun(&id);
            writes.push(waits(id, record, progress));
            return Planned {
                writes,
                answer: Operated::Done,
            };
        }
        let skipped = self.skipped_of(&origin);
        if skipped.is_none() && !returning.in_any_case {
            return Planned {
                writes: self.owned_still(),
                answer: Operated::Unknown,
            };
        }
        let alone = EntryId {
            alone: true,
            generation: self.generation(),
            partition: origin.partition,
            offset: origin.offset,
            part: origin.part,
        };
        if self
            .lane_of(&alone)
            .is_some_and(|key| self.taken.contains(key))
        {
            return Planned::nothing(Operated::Busy);
        }
        let progress = Progress {
            attempts: returning.attempts,
            delays: 1,
            first_failed_ms: returning.first_failed.map(millis),
            ..self.progress(now)
        };
        let mut writes: Vec<Write> = skipped.into_iter().map(|id| self.unmark(id)).collect();
        writes.push(waits(alone, record, progress));
        Planned {
            writes,
            answer: Operated::Done,
        }
    }

    /// Nothing new, which only the owner can write: that nothing is known is not for one to say who lost the partition.
    fn owned_still(&self) -> Vec<Write> {
        let partition = self.of.partition;
        let owner = self.owner.clone();
        let write = owner.map(|owner| (EntryKey::Owner { partition }, Some(Fact::Owner(owner))));
        write.into_iter().collect()
    }

    /// A record that was given up is not waited for any longer. What waits for its next attempt stays.
    pub(crate) fn discard(&self, origin: &Origin) -> Planned<()> {
        let mut planned = Planned::nothing(());
        if let Some((key, id, entry)) = self.failed(origin)
            && entry.progress.held
            && let Some(lane) = self.lanes.get(key)
        {
            let record_key = key.bytes();
            planned.writes.extend(self.not_begun(&id));
            planned
                .writes
                .extend(self.dealt_with(lane, &id, record_key, false));
        }
        if let Some(id) = self.skipped_of(origin) {
            planned.writes.push(self.unmark(id));
        }
        planned
    }

    /// The record of this origin that failed and waits, with its lane; the newest, if the topic was made anew.
    fn failed(&self, origin: &Origin) -> Option<(&LaneKey, EntryId, &Entry)> {
        self.ids(origin).find_map(|id| {
            let key = self.lane_of(&id)?;
            let entry = self.lanes.get(key)?.entries.get(&id)?;
            (entry.progress.attempts > 0).then_some((key, id, entry))
        })
    }

    fn skipped_of(&self, origin: &Origin) -> Option<EntryId> {
        self.ids(origin).find(|id| self.skipped.contains(id))
    }

    /// A gap is marked no longer; that the record was read stays known as long as it may be read again.
    fn unmark(&self, id: EntryId) -> Write {
        let done = |lane: &LaneKey| Fact::Done {
            key: lane.bytes().map(<[u8]>::to_vec),
        };
        let fact = self.lane_of(&id).map(done);
        (EntryKey::Entry(id), fact)
    }
}
