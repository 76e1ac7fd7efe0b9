//! What is written of a record that is not dealt with, and of those behind it.

use std::time::SystemTime;

use cdc_event::{DeadHead, Fate, Record};

use crate::entry_id::{EntryId, EntryKey};
use crate::fact::{Fact, Progress, Waits, millis};
use crate::lane::Lane;
use crate::plan::{Left, Write};

/// Those that wait behind a record are given up with it. One that is given up with another takes nothing more with it.
pub(crate) fn give_up_behind(lane: &Lane, id: &EntryId, key: Option<&[u8]>) -> Vec<Write> {
    if lane
        .dead
        .as_ref()
        .is_some_and(|dead| id.place() <= dead.place)
    {
        return Vec::new();
    }
    let Some((generation, offset)) = lane.last_place().filter(|last| *last > id.place()) else {
        return Vec::new();
    };
    let fact = Fact::Dead {
        key: key.map(<[u8]>::to_vec),
        generation,
        offset,
    };
    vec![(EntryKey::Dead(id.clone()), Some(fact))]
}

pub(crate) fn keeps_waiting(writes: &[Write]) -> bool {
    writes
        .iter()
        .any(|(_, fact)| matches!(fact, Some(Fact::Waits(_))))
}

/// What is left of a record, as it waits. What is given up is held if others may wait for it, or marked.
pub(crate) fn remainders(
    id: &EntryId,
    record: &Record,
    before: &Progress,
    left: &[Left],
    policy: DeadHead,
    now: SystemTime,
) -> Vec<Write> {
    // Nobody waits for it, and it is with the dead letters.
    let is_alone = id.alone || record.key.is_none();
    let write = |left: &Left| {
        let id = id.with_part(left.part.clone());
        let progress = Progress {
            held: false,
            attempts: left.attempt.number.get(),
            delays: left.delays,
            first_failed_ms: before
                .first_failed_ms
                .or_else(|| Some(millis(left.attempt.first_failed_at.unwrap_or(now)))),
            due_ms: None,
            code: Some(left.code.as_str().to_owned()),
            ..before.clone()
        };
        match (left.fate, policy) {
            (Fate::Again(after), _) => {
                let due_ms = now.checked_add(after).map(millis);
                Some(waits(id, record, Progress { due_ms, ..progress }))
            }
            (Fate::Dead, _) if is_alone => None,
            (Fate::Dead, DeadHead::Hold) => Some(waits(
                id,
                record,
                Progress {
                    held: true,
                    ..progress
                },
            )),
            (Fate::Dead, DeadHead::Skip) => {
                let key = record.key.clone();
                Some((EntryKey::Entry(id), Some(Fact::Skipped { key })))
            }
            (Fate::Dead, DeadHead::DeadLetterLane) => None,
        }
    };
    left.iter().filter_map(write).collect()
}

pub(crate) fn waits(id: EntryId, record: &Record, progress: Progress) -> Write {
    let record = Record {
        part: id.part.clone(),
        ..record.clone()
    };
    (
        EntryKey::Entry(id),
        Some(Fact::Waits(Waits { record, progress })),
    )
}
