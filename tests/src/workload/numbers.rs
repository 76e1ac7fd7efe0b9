//! The numbers that a writer gives to its events.

use std::ops::Range;

use crate::event::{Event, Fate, Key, Seq};

/// Per key and fate, how many events there are.
#[derive(Debug)]
pub(super) struct Numbers {
    keys: Range<u16>,
    committed: Vec<u64>,
    rolled_back: Vec<u64>,
}

impl Numbers {
    pub(super) fn of(keys: Range<u16>) -> Self {
        let zeros = vec![0; keys.len()];
        Self {
            keys,
            committed: zeros.clone(),
            rolled_back: zeros,
        }
    }

    pub(super) fn keys(&self) -> &Range<u16> {
        &self.keys
    }

    /// The number of the last committed event of each key.
    pub(super) fn last_committed(&self) -> &[u64] {
        &self.committed
    }

    /// The next event of `key`, which must be one of the writer's.
    pub(super) fn next(&mut self, key: Key, fate: Fate) -> Event {
        let counts = match fate {
            Fate::Committed => &mut self.committed,
            Fate::RolledBack => &mut self.rolled_back,
        };
        let count = &mut counts[usize::from(key.0 - self.keys.start)];
        *count += 1;
        Event {
            key,
            seq: Seq(*count),
            fate,
        }
    }
}
