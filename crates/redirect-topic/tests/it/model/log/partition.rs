//! One partition: what stands at its offsets.

use std::collections::HashSet;

use order_model::Random;
use redirect_topic::LogRecord;

#[derive(Default)]
pub(super) struct Partition {
    slots: Vec<Slot>,
}

/// What stands at an offset.
enum Slot {
    Committed(LogRecord),
    Open {
        source: i32,
        record: LogRecord,
        /// Its writer has asked for the end.
        asked: bool,
    },
    /// The end of a transaction, or what was aborted or compacted.
    Nothing,
}

/// What is written in one transaction for a source partition.
pub(super) struct Writes {
    pub(super) source: i32,
    pub(super) records: Vec<LogRecord>,
}

/// How a transaction ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Commit,
    Abort,
}

impl Partition {
    pub(super) const fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn committed(&self, offset: usize) -> Option<LogRecord> {
        match &self.slots[offset] {
            Slot::Committed(record) => Some(record.clone()),
            Slot::Open { .. } | Slot::Nothing => None,
        }
    }

    /// Whose transaction is open before an offset.
    pub(super) fn open_before(&self, end: usize) -> Option<i32> {
        self.slots[..end].iter().find_map(|slot| match slot {
            Slot::Open { source, .. } => Some(*source),
            Slot::Committed(_) | Slot::Nothing => None,
        })
    }

    pub(super) fn send(&mut self, record: LogRecord) {
        self.slots.push(Slot::Committed(record));
    }

    /// Where the first record is.
    pub(super) fn begin(&mut self, writes: Writes) -> usize {
        let first = self.slots.len();
        let Writes { source, records } = writes;
        let open = |record| Slot::Open {
            source,
            record,
            asked: false,
        };
        self.slots.extend(records.into_iter().map(open));
        first
    }

    pub(super) fn ask(&mut self, of: i32) {
        for slot in &mut self.slots {
            if let Slot::Open { source, asked, .. } = slot
                && *source == of
            {
                *asked = true;
            }
        }
    }

    pub(super) fn is_asked(&self, of: i32) -> bool {
        self.slots
            .iter()
            .any(|slot| matches!(slot, Slot::Open { source, asked: true, .. } if *source == of))
    }

    /// Ends the transaction of a source partition, if one is open; what it wrote, if that counts.
    pub(super) fn end(&mut self, of: i32, ending: Ending) -> Vec<LogRecord> {
        let mut written = Vec::new();
        let mut is_open = false;
        for slot in &mut self.slots {
            *slot = match std::mem::replace(slot, Slot::Nothing) {
                Slot::Open { source, record, .. } if source == of => {
                    is_open = true;
                    match ending {
                        Ending::Commit => {
                            written.push(record.clone());
                            Slot::Committed(record)
                        }
                        Ending::Abort => Slot::Nothing,
                    }
                }
                other => other,
            };
        }
        if is_open {
            self.slots.push(Slot::Nothing);
        }
        written
    }

    /// Keeps the newest record of each key, up to some place before all that is open, and `forgets` its tombstone too.
    pub(super) fn compact(&mut self, random: &mut Random, forgets: bool) {
        let is_open = |slot: &Slot| matches!(slot, Slot::Open { .. });
        let stable = self.slots.iter().position(is_open);
        let clean = random.below(stable.unwrap_or(self.slots.len()) + 1);
        let mut newer = HashSet::new();
        for slot in self.slots[..clean].iter_mut().rev() {
            let Slot::Committed(record) = slot else {
                continue;
            };
            let is_newest = newer.insert(record.key.clone());
            if !is_newest || (forgets && record.value.is_none()) {
                *slot = Slot::Nothing;
            }
        }
    }
}
