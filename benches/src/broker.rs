//! Kafka as the benchmarks need it: topics, and what can be read in one.

mod compiler;
mod ends;
mod reading;

use std::time::Duration;

use anyhow::{Context, Result};
use cdc_e2e::wait::{Look, until};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

pub(crate) use compiler::Compiler;
pub(crate) use ends::{EndOffsets, Isolation};

/// Partitions of every topic with events.
const PARTITIONS: i32 = 6;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What all clients have in common.
pub(crate) fn client_config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config
}

/// A topic with nothing in it. [`delete`](Self::delete) it when done; the servers are thrown away in the end.
#[derive(Debug)]
pub(crate) struct Topic {
    brokers: String,
    name: String,
    partitions: i32,
}

impl Topic {
    /// Creates it, and waits until all its partitions can be asked for their offsets.
    pub(crate) async fn create(brokers: &str, name: &str) -> Result<Self> {
        Self::create_with(brokers, name, PARTITIONS, "delete").await
    }

    /// As [`create`](Self::create), as relays create a topic for their checkpoints.
    pub(crate) async fn create_for_checkpoints(brokers: &str, name: &str) -> Result<Self> {
        Self::create_with(brokers, name, 1, "compact").await
    }

    async fn create_with(
        brokers: &str,
        name: &str,
        partitions: i32,
        cleanup: &str,
    ) -> Result<Self> {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1))
            .set("cleanup.policy", cleanup);
        let created = admin(brokers)?.create_topics([&topic], &options()).await?;
        for result in created {
            match result {
                Ok(_) => {}
                // `init` makes that of the first slot.
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) if cleanup == "compact" => {}
                Err((name, code)) => anyhow::bail!("create topic {name}: {code}"),
            }
        }
        let topic = Self {
            brokers: brokers.to_owned(),
            name: name.to_owned(),
            partitions,
        };
        let ends = topic.ends(Isolation::ReadCommitted)?;
        until(TIMEOUT, "the topic's partitions", async || {
            Ok(Look::Ready(ends.sum()?))
        })
        .await?;
        Ok(topic)
    }

    /// All its partitions, at `offset`.
    pub(crate) fn partitions(&self, offset: Offset) -> Result<TopicPartitionList> {
        let mut partitions = TopicPartitionList::new();
        for partition in 0..self.partitions {
            partitions.add_partition_offset(&self.name, partition, offset)?;
        }
        Ok(partitions)
    }

    /// Ready to be asked where its partitions end.
    pub(crate) fn ends(&self, isolation: Isolation) -> Result<EndOffsets> {
        EndOffsets::new(&self.brokers, isolation, self.partitions(Offset::End)?)
    }

    /// Reads all of it, and counts what a consumer gets that wants committed records only.
    pub(crate) fn count_committed(&self) -> Result<u64> {
        let partitions = self.partitions(Offset::Beginning)?;
        tokio::task::block_in_place(|| reading::count_committed(&self.brokers, &partitions))
            .with_context(|| format!("read {}", self.name))
    }

    /// Removes it with its records.
    pub(crate) async fn delete(self) -> Result<()> {
        let deleted = admin(&self.brokers)?
            .delete_topics(&[&self.name], &options())
            .await?;
        for result in deleted {
            result.map_err(|(name, code)| anyhow::anyhow!("delete topic {name}: {code}"))?;
        }
        Ok(())
    }
}

fn admin(brokers: &str) -> Result<AdminClient<DefaultClientContext>> {
    Ok(client_config(brokers).create()?)
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(TIMEOUT))
        .operation_timeout(Some(TIMEOUT))
}
