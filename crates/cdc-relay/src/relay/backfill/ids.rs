//! Sets of event ids in little memory.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use crate::relay::error::RelayError;

/// About 100 MB of memory.
const MOST: usize = 3_000_000;

/// An event id as 128 bits of its hash, of this process: two ids with the same key are not to be expected, as with
/// random UUIDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct EventKey(u128);

/// A bounded set of event ids.
#[derive(Debug, Default, Clone)]
pub(super) struct IdSet(HashSet<EventKey>);

static HASHERS: LazyLock<[RandomState; 2]> =
    LazyLock::new(|| [RandomState::new(), RandomState::new()]);

impl EventKey {
    pub(super) fn of(id: &[u8]) -> Self {
        let [high, low] = HASHERS.each_ref().map(|hasher| hasher.hash_one(id));
        Self(u128::from(high) << 64 | u128::from(low))
    }
}

impl IdSet {
    /// # Errors
    ///
    /// The set is as large as it may become.
    pub(super) fn insert(&mut self, key: EventKey) -> Result<(), RelayError> {
        if self.0.len() >= MOST {
            return Err(RelayError::TooManyToCompare { most: MOST });
        }
        self.0.insert(key);
        Ok(())
    }

    pub(super) fn remove(&mut self, key: EventKey) {
        self.0.remove(&key);
    }

    pub(super) fn has(&self, key: EventKey) -> bool {
        self.0.contains(&key)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_was_put_in() {
        let mut ids = IdSet::default();
        for n in 0..1000_u32 {
            ids.insert(EventKey::of(&n.to_be_bytes())).unwrap();
        }
        assert_eq!(ids.len(), 1000);
        assert!(ids.has(EventKey::of(&7_u32.to_be_bytes())));
        assert!(!ids.has(EventKey::of(&1000_u32.to_be_bytes())));
        ids.remove(EventKey::of(&7_u32.to_be_bytes()));
        assert!(!ids.has(EventKey::of(&7_u32.to_be_bytes())));
    }
}
