//! The pipeline's metrics as handles: looked up once, not per record. Totals are kept for `/status` too.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{Counter, Histogram, counter, histogram};
use pg_replication::PgTimestamp;

use crate::metric;
use crate::shard::Shard;

/// Counts into the process's recorder and keeps the totals for `/status`. Clones share their totals.
///
/// Make it after the recorder is installed: handles made before count into nothing but the totals.
#[derive(Clone)]
pub(crate) struct RelayMetrics {
    /// Events that Kafka acknowledged.
    pub(crate) events: Total,
    /// Transactions that were confirmed to PostgreSQL.
    pub(crate) transactions: Total,
    /// Updates, deletes and truncations.
    pub(crate) ignored_changes: Total,
    /// Events that Kafka had already.
    pub(crate) suppressed: Total,
    /// Events whose payload could not be expanded.
    pub(crate) unexpanded: Total,
    /// Events whose trace context was left out.
    pub(crate) invalid_trace_context: Total,
    commit_to_ack: Histogram,
    /// Commit time of the newest acknowledged transaction, microseconds since 1970; 0 for none.
    newest_commit: Arc<AtomicU64>,
}

/// A counter whose value can be read.
#[derive(Clone)]
pub(crate) struct Total {
    counter: Counter,
    value: Arc<AtomicU64>,
}

impl RelayMetrics {
    /// Handles of the recorder that is installed now, labelled with `shard` if there are several.
    pub(crate) fn new(shard: Option<Shard>) -> Self {
        let labels = metric::shard_labels(shard);
        let total = |name: &'static str| Total::of(counter!(name, &labels));
        let noticed = |kind: &str| {
            let kind = (metric::KIND, kind.to_owned());
            let labels: Vec<_> = labels.iter().cloned().chain([kind]).collect();
            Total::of(counter!(metric::NOTICES, &labels))
        };
        Self {
            events: total(metric::EVENTS),
            transactions: total(metric::TRANSACTIONS),
            ignored_changes: total(metric::IGNORED_CHANGES),
            suppressed: total(metric::SUPPRESSED),
            unexpanded: noticed(metric::UNEXPANDED),
            invalid_trace_context: noticed(metric::INVALID_TRACE_CONTEXT),
            commit_to_ack: histogram!(metric::COMMIT_TO_ACK, &labels),
            newest_commit: Arc::new(AtomicU64::new(0)),
        }
    }

    /// A transaction of `committed_at` is acknowledged at `now`. Clocks that disagree may make that negative: it
    /// counts as zero.
    pub(crate) fn acknowledged(&self, committed_at: PgTimestamp, now: PgTimestamp) {
        let latency = u64::try_from(now.micros_since(committed_at)).unwrap_or(0);
        self.commit_to_ack.record(Duration::from_micros(latency));
        let committed_at = u64::try_from(committed_at.to_unix_micros()).unwrap_or(0);
        self.newest_commit.store(committed_at, Ordering::Relaxed);
    }

    /// When the newest acknowledged transaction was committed; `None` before the first.
    pub(crate) fn newest_commit(&self) -> Option<SystemTime> {
        match self.newest_commit.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(UNIX_EPOCH + Duration::from_micros(micros)),
        }
    }
}

impl Total {
    fn of(counter: Counter) -> Self {
        Self {
            counter,
            value: Arc::new(AtomicU64::new(0)),
        }
    }

    /// Adds `count`.
    pub(crate) fn increment(&self, count: u64) {
        self.counter.increment(count);
        self.value.fetch_add(count, Ordering::Relaxed);
    }

    /// The sum so far.
    pub(crate) fn get(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for RelayMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayMetrics")
            .field("events", &self.events.get())
            .finish_non_exhaustive()
    }
}
