//! What the roles say of themselves, for `/status` and the health checks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
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
    partitions: AtomicU64,
    stored: AtomicU64,
    waiting: AtomicBool,
    trouble: Mutex<Option<String>>,
}

/// The collector at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CollectSnapshot {
    /// Partitions of dead-letter topics that are read here.
    pub(crate) partitions: u64,
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
    pub(super) fn assigned(&self, partitions: usize) {
        self.partitions.store(partitions as u64, Ordering::Relaxed);
    }

    pub(super) fn stored(&self, records: usize) {
        self.stored.fetch_add(records as u64, Ordering::Relaxed);
        if self.waiting.swap(false, Ordering::Relaxed) {
            *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Whether that is news.
    pub(super) fn failed(&self, why: String) -> bool {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        !self.waiting.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn snapshot(&self) -> CollectSnapshot {
        CollectSnapshot {
            partitions: self.partitions.load(Ordering::Relaxed),
            stored: self.stored.load(Ordering::Relaxed),
            trouble: self
                .trouble
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }
}
