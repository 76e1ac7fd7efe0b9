//! What a runner says of itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use crate::breaker::Breaker;
use crate::plan::Tier;
use crate::progress::Progress;

/// What a runner says of itself, while it runs and after. Cheap to copy.
#[derive(Debug, Clone)]
pub struct Status {
    pub(crate) progress: Arc<Progress>,
    pub(crate) breaker: Arc<Breaker>,
}

/// A runner at one moment. Numbers that count up do so since its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Partitions of the sources that are read here.
    pub partitions: usize,
    /// Partitions of the retry topics that are read here.
    pub retry_partitions: usize,
    /// Records that are being tried, or wait for their turn or the next attempt.
    pub held: usize,
    /// Records of them that no retry or dead-letter topic takes at the moment.
    pub stuck: usize,
    /// Attempts that succeeded.
    pub succeeded: u64,
    /// Records that a retry topic took.
    pub retried: u64,
    /// Dead letters that were handed over.
    pub dead_letters: u64,
    /// Almost everything fails, so one record at a time is tried.
    pub outage: bool,
    /// When the oldest record is due that waits here, by tier. A tier without one is not listed.
    pub oldest_due: BTreeMap<Tier, SystemTime>,
}

impl Status {
    /// How things are now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let progress = &self.progress;
        let [partitions, retry_partitions] = &progress.partitions;
        Snapshot {
            partitions: partitions.load(Ordering::Relaxed),
            retry_partitions: retry_partitions.load(Ordering::Relaxed),
            held: progress.held_now(),
            stuck: progress.stuck_now(),
            succeeded: progress.succeeded.load(Ordering::Relaxed),
            retried: progress.retried.load(Ordering::Relaxed),
            dead_letters: progress.dead_letters.load(Ordering::Relaxed),
            outage: self.breaker.is_open(),
            oldest_due: progress.oldest_due(),
        }
    }
}
