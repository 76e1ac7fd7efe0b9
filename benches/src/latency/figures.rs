//! What the steady load has shown.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::histogram::Histogram;
use crate::outbox::Delivery;
use crate::report::Target;
use crate::statistics::{quantile, rounded};

/// What 99 of 100 events should not exceed, in milliseconds.
fn target(delivery: Delivery) -> f64 {
    match delivery {
        Delivery::AtLeastOnce => 10.0,
        Delivery::ExactlyOnce => 25.0,
    }
}

/// Latencies in milliseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Quantiles {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p99_9_ms: f64,
    pub(crate) max_ms: f64,
}

/// Upper bounds of the buckets that the percentiles are in, in milliseconds; `None`: in the last, which has none.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Bounds {
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
}

/// All figures.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LatencyFigures {
    pub(crate) delivery: Delivery,
    pub(crate) events: usize,
    /// The rate that the writers have reached.
    pub(crate) events_per_second: f64,
    /// From the writer's knowledge of its commit to the consumer's of the record: later than the broker's acknowledgement.
    pub(crate) commit_to_consumer: Quantiles,
    /// From the commit's time in the log to the broker's acknowledgement, exactly once that of the transaction, by the
    /// relay's own histogram.
    pub(crate) commit_to_ack_at_most: Bounds,
    /// CPU time of the relay, of one core.
    pub(crate) cpu_percent: f64,
    pub(crate) peak_resident_mib: f64,
}

impl Quantiles {
    pub(super) fn of(mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        let at = |per_mille| rounded(quantile(&latencies, per_mille).as_secs_f64() * 1000.0);
        Self {
            p50_ms: at(500),
            p99_ms: at(990),
            p99_9_ms: at(999),
            max_ms: at(1000),
        }
    }
}

impl From<Histogram> for Bounds {
    fn from(histogram: Histogram) -> Self {
        let at = |percent| {
            let seconds = histogram.percentile(percent);
            seconds.map(|seconds| rounded(seconds * 1000.0))
        };
        Self {
            p50_ms: at(50.0),
            p99_ms: at(99.0),
        }
    }
}

impl LatencyFigures {
    /// What should be reached. The consumer's view is the upper bound of the broker's: if it meets the target, both do.
    pub(crate) fn targets(&self) -> Vec<Target> {
        let p99 = self.commit_to_consumer.p99_ms;
        let target = target(self.delivery);
        vec![Target::at_most("commit_to_consumer.p99_ms", target, p99)]
    }
}
