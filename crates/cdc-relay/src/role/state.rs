//! What the roles say of themselves, for `/status` and the health checks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use recovery::Status;
use serde::{Deserialize, Serialize};

/// The notifier, while it runs.
#[derive(Debug, Default)]
pub(crate) struct NotifyState(OnceLock<Status>);

/// The notifier at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NotifySnapshot {
    /// Partitions of the topics that are read here.
    pub(crate) partitions: usize,
    /// Partitions of the retry topics that are read here.
    pub(crate) retry_partitions: usize,
    /// Records that are being tried, or wait for their turn or the next attempt.
    pub(crate) held: usize,
    /// Records of them that no retry or dead-letter topic takes at the moment.
    pub(crate) stuck: usize,
    /// Attempts that succeeded since the start.
    pub(crate) succeeded: u64,
    /// Records that a retry topic took since the start.
    pub(crate) retried: u64,
    /// Dead letters since the start.
    pub(crate) dead_letters: u64,
    /// Almost everything fails, so one record at a time is tried.
    pub(crate) outage: bool,
    /// When the oldest record is due that waits here, in seconds since 1970, by tier.
    pub(crate) oldest_due: BTreeMap<u16, u64>,
}

/// The collector of dead letters, while it runs.
#[derive(Debug, Default)]
pub(crate) struct CollectState {
    partitions: AtomicUsize,
    stored: AtomicU64,
    trouble: Mutex<Trouble>,
}

/// What waits for the store.
#[derive(Debug, Default)]
struct Trouble {
    /// Partitions whose dead letters the store does not take.
    waiting: usize,
    /// Why, as it was said last.
    why: String,
}

/// How many partitions one reader has, of all that are counted.
#[derive(Debug)]
pub(super) struct Partitions<'a> {
    all: &'a AtomicUsize,
    here: usize,
}

/// Dead letters of a partition wait for the store, as long as this lives.
#[derive(Debug)]
pub(super) struct Waiting<'a>(&'a CollectState);

/// The collector at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CollectSnapshot {
    /// Partitions of dead-letter topics that are read here.
    pub(crate) partitions: usize,
    /// Dead letters that were stored since the start.
    pub(crate) stored: u64,
    /// Why the store takes nothing, while it takes nothing.
    pub(crate) trouble: Option<String>,
}

impl NotifyState {
    /// From now on there is something to tell.
    pub(super) fn runs(&self, status: Status) {
        // There is one runner in a process, and it is started once.
        self.0.set(status).ok();
    }

    /// `None` before the start.
    pub(crate) fn snapshot(&self) -> Option<NotifySnapshot> {
        let now = self.0.get()?.snapshot();
        let seconds = |time: SystemTime| {
            time.duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| since.as_secs())
        };
        let due = now
            .oldest_due
            .iter()
            .map(|(tier, time)| (tier.number(), seconds(*time)));
        Some(NotifySnapshot {
            partitions: now.partitions,
            retry_partitions: now.retry_partitions,
            held: now.held,
            stuck: now.stuck,
            succeeded: now.succeeded,
            retried: now.retried,
            dead_letters: now.dead_letters,
            outage: now.outage,
            oldest_due: due.collect(),
        })
    }
}

impl CollectState {
    /// For one reader.
    pub(super) fn partitions(&self) -> Partitions<'_> {
        Partitions {
            all: &self.partitions,
            here: 0,
        }
    }

    pub(super) fn stored(&self, records: usize) {
        self.stored.fetch_add(records as u64, Ordering::Relaxed);
    }

    /// The store takes nothing of a partition.
    pub(super) fn waits(&self) -> Waiting<'_> {
        self.trouble().waiting += 1;
        Waiting(self)
    }

    pub(crate) fn snapshot(&self) -> CollectSnapshot {
        let trouble = self.trouble();
        CollectSnapshot {
            partitions: self.partitions.load(Ordering::Relaxed),
            stored: self.stored.load(Ordering::Relaxed),
            trouble: (trouble.waiting > 0).then(|| trouble.why.clone()),
        }
    }

    fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Partitions<'_> {
    /// So many they are now.
    pub(super) fn set(&mut self, here: usize) {
        self.all.fetch_add(here, Ordering::Relaxed);
        self.all.fetch_sub(self.here, Ordering::Relaxed);
        self.here = here;
    }
}

impl Drop for Partitions<'_> {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl Waiting<'_> {
    pub(super) fn because(&self, why: &str) {
        why.clone_into(&mut self.0.trouble().why);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.trouble().waiting -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_readers_say_adds_up() {
        let state = CollectState::default();
        let (mut one, mut other) = (state.partitions(), state.partitions());
        one.set(6);
        other.set(3);
        one.set(4);
        assert_eq!(state.snapshot().partitions, 7);
        drop(one);
        assert_eq!(state.snapshot().partitions, 3);

        let waiting = state.waits();
        waiting.because("it is away");
        let also = state.waits();
        drop(also);
        assert_eq!(state.snapshot().trouble.as_deref(), Some("it is away"));
        drop(waiting);
        assert_eq!(state.snapshot().trouble, None);
    }
}
