//! Keeps what was read for a while.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Values by key, each for a while, all together of a bounded size.
pub(super) struct Cache<K, V> {
    expiry: Duration,
    capacity: usize,
    size_of: fn(&V) -> usize,
    kept: Mutex<Kept<K, V>>,
}

struct Kept<K, V> {
    values: HashMap<K, Entry<V>>,
    size: usize,
}

struct Entry<V> {
    value: V,
    fresh_until: Instant,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    /// `size_of` is in the units of `capacity`.
    pub(super) fn new(expiry: Duration, capacity: usize, size_of: fn(&V) -> usize) -> Self {
        Self {
            expiry,
            capacity,
            size_of,
            kept: Mutex::new(Kept {
                values: HashMap::new(),
                size: 0,
            }),
        }
    }

    /// A value that is fresh.
    pub(super) fn get(&self, key: &K) -> Option<V> {
        let kept = self.kept();
        let entry = kept.values.get(key)?;
        (entry.fresh_until > Instant::now()).then(|| entry.value.clone())
    }

    /// A value, fresh or not.
    pub(super) fn expired(&self, key: &K) -> Option<V> {
        self.kept().values.get(key).map(|entry| entry.value.clone())
    }

    /// Keeps a value. Those that are not fresh go if there is no room, and all of them if that is not enough.
    pub(super) fn put(&self, key: K, value: V) {
        let size = (self.size_of)(&value);
        if size > self.capacity {
            return;
        }
        let now = Instant::now();
        let mut kept = self.kept();
        if let Some(before) = kept.values.remove(&key) {
            kept.size -= (self.size_of)(&before.value);
        }
        if kept.size + size > self.capacity {
            kept.values.retain(|_, entry| entry.fresh_until > now);
            kept.size = kept
                .values
                .values()
                .map(|entry| (self.size_of)(&entry.value))
                .sum();
        }
        if kept.size + size > self.capacity {
            kept.values.clear();
            kept.size = 0;
        }
        kept.size += size;
        kept.values.insert(
            key,
            Entry {
                value,
                fresh_until: now + self.expiry,
            },
        );
    }

    /// A value is no longer fresh.
    pub(super) fn expire(&self, key: &K) {
        if let Some(entry) = self.kept().values.get_mut(key) {
            entry.fresh_until = Instant::now();
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept<K, V>> {
        // What a panic can leave behind is a size that is a little off.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("expiry", &self.expiry)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPIRY: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn keeps_a_value_for_a_while() {
        let cache = Cache::new(EXPIRY, 10, |_: &u32| 1);
        cache.put("a", 1);
        tokio::time::advance(EXPIRY / 2).await;
        assert_eq!(cache.get(&"a"), Some(1));
        tokio::time::advance(EXPIRY / 2).await;
        assert_eq!((cache.get(&"a"), cache.expired(&"a")), (None, Some(1)));
        cache.put("a", 2);
        cache.expire(&"a");
        assert_eq!(cache.get(&"a"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn never_keeps_more_than_it_may() {
        let cache = Cache::new(EXPIRY, 100, |size: &usize| *size);
        for key in 0..1000_usize {
            cache.put(key % 37, key % 11);
            let kept = cache.kept();
            let size: usize = kept.values.values().map(|entry| entry.value).sum();
            assert_eq!(kept.size, size);
            assert!(size <= 100);
        }
        cache.put(0, 101);
        assert_ne!(cache.get(&0), Some(101));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_old_goes_first() {
        let cache = Cache::new(EXPIRY, 2, |_: &u32| 1);
        cache.put("old", 1);
        tokio::time::advance(EXPIRY).await;
        cache.put("new", 2);
        cache.put("newer", 3);
        assert_eq!(
            (
                cache.expired(&"old"),
                cache.get(&"new"),
                cache.get(&"newer")
            ),
            (None, Some(2), Some(3))
        );
    }
}
