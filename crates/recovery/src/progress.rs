//! What a runner counts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use cdc_event::ErrorCode;
use cdc_kafka::TopicPartition;
use metrics::{Counter, Gauge};

use crate::metric;
use crate::plan::Tier;

/// Counts for the status and for the metrics at once.
#[derive(Debug)]
pub(crate) struct Progress {
    group: String,
    attempts: Attempts,
    held: Count,
    stuck: Count,
    pub(crate) succeeded: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) dead_letters: AtomicU64,
    /// Partitions of sources, and of retry topics.
    pub(crate) partitions: [AtomicUsize; 2],
    /// Codes that are counted each by itself.
    codes: Mutex<BTreeSet<ErrorCode>>,
    /// When the next record of each partition of a retry topic is due.
    due: Mutex<HashMap<(Tier, TopicPartition), SystemTime>>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Success,
    Transient,
    Wait,
    Poison,
    Partial,
    Fatal,
    Panic,
}

#[derive(Debug)]
struct Attempts {
    success: Counter,
    transient: Counter,
    wait: Counter,
    poison: Counter,
    partial: Counter,
    fatal: Counter,
    panic: Counter,
}

/// A number that goes up and down, and its metric.
#[derive(Debug)]
struct Count {
    now: AtomicUsize,
    gauge: Gauge,
}

/// Counts one until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted<'a>(&'a Count);

impl Progress {
    pub(crate) fn new(group: &str) -> Self {
        let attempts = |outcome| metric::attempts(group, outcome);
        let count = |name| Count {
            now: AtomicUsize::new(0),
            gauge: metric::of_group(name, group),
        };
        Self {
            group: group.to_owned(),
            attempts: Attempts {
                success: attempts("success"),
                transient: attempts("transient"),
                wait: attempts("wait"),
                poison: attempts("poison"),
                partial: attempts("partial"),
                fatal: attempts("fatal"),
                panic: attempts("panic"),
            },
            held: count(metric::HELD),
            stuck: count(metric::STUCK),
            succeeded: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
            partitions: [AtomicUsize::new(0), AtomicUsize::new(0)],
            codes: Mutex::default(),
            due: Mutex::default(),
        }
    }

    pub(crate) fn attempt(&self, ended: Ended) {
        let attempts = &self.attempts;
        let counter = match ended {
            Ended::Success => {
                self.succeeded.fetch_add(1, Ordering::Relaxed);
                &attempts.success
            }
            Ended::Transient => &attempts.transient,
            Ended::Wait => &attempts.wait,
            Ended::Poison => &attempts.poison,
            Ended::Partial => &attempts.partial,
            Ended::Fatal => &attempts.fatal,
            Ended::Panic => &attempts.panic,
        };
        counter.increment(1);
    }

    pub(crate) fn retried(&self, tier: Tier) {
        self.retried.fetch_add(1, Ordering::Relaxed);
        metric::retries(&self.group, tier.number()).increment(1);
    }

    pub(crate) fn dead_letter(&self, code: &ErrorCode) {
        self.dead_letters.fetch_add(1, Ordering::Relaxed);
        let mut codes = lock(&self.codes);
        if codes.len() < metric::MAX_CODES {
            codes.insert(code.clone());
        }
        let label = if codes.contains(code) {
            code.as_str()
        } else {
            metric::OTHER_CODE
        };
        metric::dead_letters(&self.group, label).increment(1);
    }

    /// A worker holds `now` records where it held `before`.
    pub(crate) fn held(&self, before: usize, now: usize) {
        if now >= before {
            self.held.add(now - before);
        } else {
            self.held.remove(before - now);
        }
    }

    pub(crate) fn held_now(&self) -> usize {
        self.held.now.load(Ordering::Relaxed)
    }

    /// A record cannot be handed over, until the guard is dropped.
    pub(crate) fn stuck(&self) -> Counted<'_> {
        self.stuck.add(1);
        Counted(&self.stuck)
    }

    pub(crate) fn stuck_now(&self) -> usize {
        self.stuck.now.load(Ordering::Relaxed)
    }

    /// The next record of a partition of a retry topic waits; `None`: it no longer does.
    pub(crate) fn due(&self, tier: Tier, at: &TopicPartition, due: Option<SystemTime>) {
        let oldest = {
            let mut all = lock(&self.due);
            let key = (tier, at.clone());
            match due {
                Some(due) => drop(all.insert(key, due)),
                None => drop(all.remove(&key)),
            }
            oldest_of(&all).remove(&tier)
        };
        let since = oldest.and_then(|due| due.duration_since(UNIX_EPOCH).ok());
        let gauge = metric::of_tier(metric::NEXT_DUE, &self.group, tier.number());
        gauge.set(since.map_or(0.0, |since| since.as_secs_f64()));
    }

    /// When the oldest record of each tier that waits here is due.
    pub(crate) fn oldest_due(&self) -> BTreeMap<Tier, SystemTime> {
        oldest_of(&lock(&self.due))
    }
}

fn oldest_of(all: &HashMap<(Tier, TopicPartition), SystemTime>) -> BTreeMap<Tier, SystemTime> {
    let mut oldest = BTreeMap::new();
    for ((tier, _), due) in all {
        let entry = oldest.entry(*tier).or_insert(*due);
        *entry = (*entry).min(*due);
    }
    oldest
}

impl Count {
    fn add(&self, more: usize) {
        let now = self.now.fetch_add(more, Ordering::Relaxed) + more;
        self.show(now);
    }

    fn remove(&self, less: usize) {
        let now = self
            .now
            .fetch_sub(less, Ordering::Relaxed)
            .saturating_sub(less);
        self.show(now);
    }

    #[expect(clippy::cast_precision_loss, reason = "a metric")]
    fn show(&self, now: usize) {
        self.gauge.set(now as f64);
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.remove(1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
