//! The records of one key that wait.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use cdc_event::Record;
use cdc_kafka::Offset;

use crate::entry_id::EntryId;
use crate::fact::Progress;
use crate::memory::Held;

/// Which records wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum LaneKey {
    /// Those of a key.
    Key(Arc<[u8]>),
    /// This one waits for none: it has no key, or comes back after the others went on.
    Alone(EntryId),
}

/// The records of one key that wait, and the last ones that were dealt with.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    pub(crate) entries: BTreeMap<EntryId, Entry>,
    /// Dealt with, and may be read again.
    pub(crate) done: BTreeSet<EntryId>,
    /// Those up to a place are given up with the one that this is named after.
    pub(crate) dead: Option<DeadThrough>,
    /// When it is due, if it is and nobody has it.
    pub(crate) due: Option<SystemTime>,
    /// Not before: others have their turn.
    pub(crate) not_before: Option<SystemTime>,
}

/// A record that waits.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Where it is written.
    pub(crate) at: Offset,
    pub(crate) progress: Progress,
    /// `None` if there was no room for it.
    pub(crate) held: Option<Held>,
    /// It was found here: its last attempt may have ended its owner.
    pub(crate) found: bool,
}

/// Up to where records are given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeadThrough {
    pub(crate) marker: EntryId,
    pub(crate) place: (u32, i64),
}

impl LaneKey {
    /// The lane of a record that is read for the first time.
    pub(crate) fn of(record: &Record, generation: u32) -> Self {
        match &record.key {
            Some(key) => Self::Key(Arc::from(key.as_slice())),
            None => Self::Alone(crate::fact::id_of(record, generation)),
        }
    }

    /// The lane of what is written under an id.
    pub(crate) fn of_written(id: &EntryId, key: Option<&[u8]>) -> Self {
        match key {
            Some(key) if !id.alone => Self::Key(Arc::from(key)),
            Some(_) | None => Self::Alone(id.whole()),
        }
    }
}

impl Lane {
    pub(crate) fn is_open(&self) -> bool {
        !self.entries.is_empty()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.done.is_empty() && self.dead.is_none()
    }

    /// The last offset of a generation that is known. Records of a key are dealt with one after the other: whatever comes
    /// no later was dealt with, or waits.
    pub(crate) fn through(&self, generation: u32) -> Option<i64> {
        let of_now = |id: &&EntryId| id.generation == generation && !id.alone;
        let waiting = self.entries.keys().next_back().filter(of_now);
        let done = self.done.iter().next_back().filter(of_now);
        waiting.into_iter().chain(done).map(|id| id.offset).max()
    }

    /// Those whose turn it is: the parts of the first record.
    fn first(&self) -> impl Iterator<Item = (&EntryId, &Entry)> {
        let place = self.entries.keys().next().map(EntryId::place);
        let entries = self.entries.iter();
        entries.take_while(move |(id, _)| Some(id.place()) == place)
    }

    /// Whose turn it is; of parts the one that is due first. `None` if the lane is empty, or held.
    pub(crate) fn head(&self) -> Option<(&EntryId, &Entry)> {
        self.first()
            .filter(|(_, entry)| !entry.progress.held)
            .min_by_key(|(id, entry)| {
                (
                    entry.progress.due_ms,
                    entry.progress.attempts,
                    (*id).clone(),
                )
            })
    }

    pub(crate) fn is_held(&self) -> bool {
        self.is_open() && self.head().is_none()
    }

    /// When the head may be tried; `None` if there is none.
    pub(crate) fn ready_at(&self) -> Option<SystemTime> {
        let (_, head) = self.head()?;
        let due = head.progress.due().unwrap_or(head.progress.parked_at());
        Some(self.not_before.map_or(due, |after| after.max(due)))
    }

    /// Whether a record is given up with the one before it.
    pub(crate) fn gives_up(&self, id: &EntryId, progress: &Progress) -> bool {
        let dead = self.dead.as_ref();
        progress.attempts == 0 && dead.is_some_and(|dead| id.place() <= dead.place)
    }

    /// The place of the last record that waits.
    pub(crate) fn last_place(&self) -> Option<(u32, i64)> {
        self.entries.keys().next_back().map(EntryId::place)
    }
}
