//! Kafka as the benchmarks need it: topics, and what can be read in one.

mod ends;
mod reading;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cdc_e2e::wait::{Look, until};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

pub(crate) use ends::{EndOffsets, Isolation};

/// Partitions of every topic with events.
const PARTITIONS: i32 = 6;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The most records that warm the broker up, and the size of each in bytes.
const WARM_UP: (u32, usize) = (3_000_000, 500);

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

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
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

/// Has the broker write records like the benchmark's, so that its code is compiled before anything counts.
pub(crate) async fn warm_up(brokers: &str, rows: u32) -> Result<()> {
    let topic = Topic::create(brokers, "warm-up").await?;
    let produce = || produce(brokers, topic.name(), rows.saturating_mul(3).min(WARM_UP.0));
    tokio::task::block_in_place(produce).context("warm the broker up")?;
    topic.delete().await
}

fn produce(brokers: &str, topic: &str, records: u32) -> Result<()> {
    let producer: ThreadedProducer<DefaultProducerContext> = client_config(brokers)
        .set("enable.idempotence", "true")
        // As the relay's producer: the broker checks what is compressed by other code than what is not.
        .set("compression.type", "lz4")
        .set("batch.size", "1000000")
        .set("linger.ms", "1")
        .create()?;
    let mut payload = vec![b'x'; WARM_UP.1];
    for n in 0..records {
        let key = (n % 1000).to_string();
        for (index, byte) in (0_u32..).zip(payload.iter_mut().step_by(4)) {
            *byte = n
                .wrapping_mul(2_654_435_761)
                .wrapping_add(index)
                .to_be_bytes()[0];
        }
        let mut record = BaseRecord::to(topic).key(&key).payload(&payload);
        while let Err((error, back)) = producer.send(record) {
            ensure!(
                error == KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull),
                error
            );
            producer.poll(Duration::from_millis(10));
            record = back;
        }
    }
    Ok(producer.flush(TIMEOUT)?)
}

fn admin(brokers: &str) -> Result<AdminClient<DefaultClientContext>> {
    Ok(client_config(brokers).create()?)
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(TIMEOUT))
        .operation_timeout(Some(TIMEOUT))
}
