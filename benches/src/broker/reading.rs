//! Reading a topic to its end.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, Result};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;

use super::{Isolation, client_config};

/// How long the next record may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The records in `partitions` that belong to no transaction or to a committed one. Blocks until it has read them all.
pub(super) fn count_committed(brokers: &str, partitions: &TopicPartitionList) -> Result<u64> {
    let consumer: BaseConsumer = client_config(brokers)
        // Required for `assign`; nothing is ever committed in it.
        .set("group.id", "cdc-bench")
        .set("enable.auto.commit", "false")
        .set("isolation.level", Isolation::ReadCommitted.name())
        .set("enable.partition.eof", "true")
        .create()?;
    consumer.assign(partitions)?;
    let (mut records, mut ended) = (0, HashSet::new());
    while ended.len() < partitions.count() {
        match consumer.poll(PATIENCE).context("no record, and no end")? {
            Ok(_) => records += 1,
            Err(KafkaError::PartitionEOF(partition)) => {
                ended.insert(partition);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(records)
}
