//! How far the partitions of a topic reach, for one kind of reader.

use anyhow::{Context, Result};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::{TIMEOUT, client_config};

/// Which end is meant: that of all records, or that of those in transactions that are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Up to the high watermark.
    ReadUncommitted,
    /// Up to the last stable offset.
    ReadCommitted,
}

impl Isolation {
    /// As librdkafka calls it in `isolation.level`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ReadUncommitted => "read_uncommitted",
            Self::ReadCommitted => "read_committed",
        }
    }
}

/// Asks where the partitions of one topic end.
pub(crate) struct EndOffsets {
    consumer: BaseConsumer,
    latest: TopicPartitionList,
}

impl EndOffsets {
    /// Of the partitions in `latest`, each of them at `Offset::End`.
    pub(super) fn new(
        brokers: &str,
        isolation: Isolation,
        latest: TopicPartitionList,
    ) -> Result<Self> {
        let consumer = client_config(brokers)
            .set("isolation.level", isolation.name())
            .create()?;
        Ok(Self { consumer, latest })
    }

    /// The ends of all partitions added up: one request, so that asking often costs the broker little.
    ///
    /// It is the number of records only if no transaction was ever ended in the topic: each leaves one more offset in
    /// every partition that it wrote to.
    pub(crate) fn sum(&self) -> Result<u64> {
        let ask = || {
            self.consumer
                .offsets_for_times(self.latest.clone(), TIMEOUT)
        };
        let answer = tokio::task::block_in_place(ask).context("ask where the partitions end")?;
        let mut sum = 0;
        for partition in answer.elements() {
            partition.error()?;
            let offset = partition.offset().to_raw();
            sum += u64::try_from(offset.context("a partition without an offset")?)?;
        }
        Ok(sum)
    }
}
