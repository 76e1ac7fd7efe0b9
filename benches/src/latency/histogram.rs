//! The relay's own histogram of the time from the commit to Kafka's acknowledgement.

use anyhow::{Result, ensure};
use cdc_e2e::relay::Relay;

/// As `/metrics` names it.
const NAME: &str = "cdc_relay_commit_to_ack_seconds";

/// A Prometheus histogram: how many samples are at most so large.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Histogram {
    /// Upper bounds in seconds, the last one infinite, with cumulative counts.
    buckets: Vec<(f64, u64)>,
}

impl Histogram {
    /// What `relay` has counted so far; it must have delivered an event.
    pub(super) async fn of(relay: &Relay) -> Result<Self> {
        Self::parse(&relay.admin().get("/metrics").await?.body)
    }

    fn parse(metrics: &str) -> Result<Self> {
        let mut buckets = Vec::new();
        for line in metrics.lines() {
            let Some((bound, count)) = bucket(line) else {
                continue;
            };
            let bound = if bound == "+Inf" {
                f64::INFINITY
            } else {
                bound.parse()?
            };
            buckets.push((bound, count.parse()?));
        }
        ensure!(!buckets.is_empty(), "no histogram {NAME} in:\n{metrics}");
        Ok(Self { buckets })
    }

    /// Only the samples that came after `earlier` was read.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let buckets = self.buckets.iter().zip(&earlier.buckets);
        Self {
            buckets: buckets
                .map(|(&(bound, now), &(_, then))| (bound, now.saturating_sub(then)))
                .collect(),
        }
    }

    /// The upper bound in seconds of the bucket with the percentile; `None` if it is infinite, or nothing was counted.
    pub(super) fn percentile(&self, percent: f64) -> Option<f64> {
        let &(_, total) = self.buckets.last()?;
        let rank = percent / 100.0 * total as f64;
        let bucket = self.buckets.iter().find(|(_, count)| *count as f64 >= rank);
        bucket
            .map(|&(bound, _)| bound)
            .filter(|bound| total > 0 && bound.is_finite())
    }
}

/// Bound and count in a line like `NAME_bucket{le="0.005"} 17`.
fn bucket(line: &str) -> Option<(&str, &str)> {
    let labels = line.strip_prefix(NAME)?.strip_prefix("_bucket{")?;
    let (labels, count) = labels.split_once("} ")?;
    let (_, bound) = labels.split_once("le=\"")?;
    Some((bound.split_once('"')?.0, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(counts: [u64; 3]) -> Histogram {
        let [a, b, c] = counts;
        let text = format!(
            "# TYPE {NAME} histogram\n{NAME}_bucket{{le=\"0.001\"}} {a}\n{NAME}_bucket{{le=\"0.01\"}} {b}\n\
             {NAME}_bucket{{le=\"+Inf\"}} {c}\n{NAME}_sum 1\n{NAME}_count {c}\nother_bucket{{le=\"1\"}} 9\n"
        );
        Histogram::parse(&text).unwrap()
    }

    #[test]
    fn a_percentile_is_the_bound_of_its_bucket() {
        let seen = histogram([50, 99, 100]);
        assert_eq!(seen.percentile(50.0), Some(0.001));
        assert_eq!(seen.percentile(51.0), Some(0.01));
        assert_eq!(seen.percentile(99.0), Some(0.01));
        assert_eq!(seen.percentile(99.9), None);
        assert_eq!(histogram([0, 0, 0]).percentile(50.0), None);
    }

    #[test]
    fn what_was_counted_before_does_not_count() {
        let since = histogram([60, 140, 200]).since(&histogram([50, 40, 100]));
        assert_eq!(since, histogram([10, 100, 100]));
    }

    #[test]
    fn metrics_without_the_histogram_are_refused() {
        assert!(Histogram::parse("cdc_relay_events_total 1\n").is_err());
    }
}
