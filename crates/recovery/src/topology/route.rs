//! Where records of a source go.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use cdc_event::ErrorCode;
use cdc_kafka::Partition;

use crate::plan::Tier;

/// Where records of a source go when they fail.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) source: String,
    pub(crate) retries: Vec<Destination>,
    pub(crate) dead_letter: Destination,
    pub(crate) dead_letter_of: BTreeMap<ErrorCode, Destination>,
}

/// A topic that records are handed over to.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) topic: String,
    partitions: i32,
    /// It was said that partitions of the source share one.
    said: AtomicBool,
    /// It was said that it takes nothing.
    pub(crate) in_trouble: AtomicBool,
}

impl Route {
    /// The retry topic of a tier.
    pub(crate) fn retry(&self, tier: Tier) -> Option<&Destination> {
        self.retries.get(tier.index())
    }

    /// Where dead letters with this code go.
    pub(crate) fn dead_letter(&self, code: &ErrorCode) -> &Destination {
        self.dead_letter_of.get(code).unwrap_or(&self.dead_letter)
    }
}

impl Destination {
    pub(crate) const fn new(topic: String, partitions: i32) -> Self {
        Self {
            topic,
            partitions,
            said: AtomicBool::new(false),
            in_trouble: AtomicBool::new(false),
        }
    }

    /// The partition for records of this partition of the source: the same, so that records of one key stay together
    /// and in order.
    pub(crate) fn partition(&self, of_source: i32) -> Partition {
        if of_source < self.partitions || self.partitions < 1 {
            return Partition(of_source);
        }
        if !self.said.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                topic = self.topic,
                partitions = self.partitions,
                "has fewer partitions than its source: partitions of the source share one, by the remainder of their number"
            );
        }
        Partition(of_source % self.partitions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_partition_or_takes_the_remainder() {
        let destination = Destination::new("t".into(), 3);
        let partitions: Vec<_> = (0..7)
            .map(|partition| destination.partition(partition).0)
            .collect();
        assert_eq!(partitions, [0, 1, 2, 0, 1, 2, 0]);
    }
}
