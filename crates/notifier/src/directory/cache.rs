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
    /// Somebody was told to read it anew.
    told: bool,
}

/// A value that is fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fresh<V> {
    pub(super) value: V,
    /// More than half of its time is over, and nobody was told before: whoever reads it anew now spares the next the
    /// wait.
    pub(super) ageing: bool,
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
    pub(super) fn get(&self, key: &K) -> Option<Fresh<V>> {
        let mut kept = self.kept();
        let entry = kept.values.get_mut(key)?;
        let left = entry
            .fresh_until
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())?;
        let ageing = left <= self.expiry / 2 && !entry.told;
        entry.told |= ageing;
        Some(Fresh {
            value: entry.value.clone(),
            ageing,
        })
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
                told: false,
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

    fn value<K: Eq + Hash, V: Clone>(cache: &Cache<K, V>, key: &K) -> Option<V> {
        cache.get(key).map(|fresh| fresh.value)
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_a_value_for_a_while() {
        let cache = Cache::new(EXPIRY, 10, |_: &u32| 1);
        cache.put("a", 1);
        tokio::time::advance(EXPIRY / 3).await;
        assert_eq!(value(&cache, &"a"), Some(1));
        tokio::time::advance(EXPIRY).await;
        assert_eq!((value(&cache, &"a"), cache.expired(&"a")), (None, Some(1)));
        cache.put("a", 2);
        cache.expire(&"a");
        assert_eq!(value(&cache, &"a"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn tells_one_who_asks_in_the_second_half_to_read_it_anew() {
        let cache = Cache::new(EXPIRY, 10, |_: &u32| 1);
        let ageing = || cache.get(&"a").map(|fresh| fresh.ageing);
        for _ in 0..2 {
            cache.put("a", 1);
            assert_eq!(ageing(), Some(false));
            tokio::time::advance(EXPIRY / 2).await;
            assert_eq!((ageing(), ageing()), (Some(true), Some(false)));
        }
        tokio::time::advance(EXPIRY).await;
        assert_eq!(ageing(), None);
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
        assert_ne!(value(&cache, &0), Some(101));
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
                value(&cache, &"new"),
                value(&cache, &"newer")
            ),
            (None, Some(2), Some(3))
        );
    }
}
