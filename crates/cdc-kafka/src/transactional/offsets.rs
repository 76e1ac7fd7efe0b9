//! Offsets of a consumer group that are committed with a transaction.

use rdkafka::TopicPartitionList;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::KafkaError;

use crate::consumer::GroupMetadata;
use crate::record::{Offset, TopicPartition};

/// Offsets of a consumer group that are committed with a transaction.
pub(super) struct GroupOffsets {
    offsets: Vec<(TopicPartition, Offset)>,
    group: GroupMetadata,
}

impl GroupOffsets {
    pub(super) fn new(offsets: Vec<(TopicPartition, Offset)>, group: GroupMetadata) -> Self {
        Self { offsets, group }
    }

    pub(super) fn list(&self) -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::with_capacity(self.offsets.len());
        for (TopicPartition { topic, partition }, next) in &self.offsets {
            list.add_partition_offset(topic, partition.0, rdkafka::Offset::Offset(next.0))?;
        }
        Ok(list)
    }

    pub(super) fn group(&self) -> &ConsumerGroupMetadata {
        self.group.native()
    }
}
