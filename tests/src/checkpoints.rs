//! What the relay has noted in Kafka about how far it has come.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use crate::consumer::Isolation;
use crate::database::Lsn;
use crate::topics::client_config;
use crate::wait::{Look, Wait, until};

/// How long reading the topic may take.
const READ: Duration = Duration::from_secs(20);

/// How long one poll waits for a record.
const POLL: Duration = Duration::from_millis(20);

/// The checkpoint topic of one test, in which there is no other slot.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    brokers: String,
    topic: String,
}

impl Checkpoints {
    /// Those in `topic`.
    pub fn new(brokers: &str, topic: String) -> Self {
        Self {
            brokers: brokers.to_owned(),
            topic,
        }
    }

    /// The position of the newest checkpoint: Kafka has everything before it. `None` before the first one.
    ///
    /// # Errors
    /// Fails if the topic cannot be read to its end within 20 s, or has something else in it.
    pub async fn newest(&self, isolation: Isolation) -> Result<Option<Lsn>> {
        Ok(self.all(isolation).await?.pop())
    }

    /// The positions of the checkpoints that are still in the topic, oldest first.
    ///
    /// # Errors
    /// As [`newest`](Self::newest).
    pub async fn all(&self, isolation: Isolation) -> Result<Vec<Lsn>> {
        let reader = self.clone();
        tokio::task::spawn_blocking(move || reader.read(isolation)).await?
    }

    /// Waits until everything before `lsn` is covered by a committed checkpoint.
    ///
    /// # Errors
    /// Fails after `limit`.
    pub async fn reach(&self, lsn: Lsn, limit: Duration) -> Result<()> {
        until(limit, "the checkpoint", async || {
            let newest = self.newest(Isolation::Committed).await?;
            Ok(Look::when(
                newest >= Some(lsn),
                format_args!("{newest:?}, wanted {lsn}"),
            ))
        })
        .await
    }

    /// What the topic has when this is called; more may come meanwhile.
    fn read(&self, isolation: Isolation) -> Result<Vec<Lsn>> {
        let consumer: BaseConsumer = client_config(&self.brokers)
            // Required for `assign`; nothing is ever committed in it.
            .set("group.id", &self.topic)
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("isolation.level", isolation.level())
            .create()?;
        let (_, end) = consumer.fetch_watermarks(&self.topic, 0, READ)?;
        let mut from_start = TopicPartitionList::new();
        from_start.add_partition_offset(&self.topic, 0, Offset::Beginning)?;
        consumer.assign(&from_start)?;
        let wait = Wait::new(READ, "the end of the checkpoint topic");
        let mut found = Vec::new();
        loop {
            match consumer.poll(POLL) {
                Some(Ok(record)) if record.offset() >= end => return Ok(found),
                Some(Ok(record)) => found.push(position(record.payload().unwrap_or_default())?),
                // The last offsets may be those of transactions' marks, which no record shows.
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(found),
                Some(Err(_)) | None if wait.is_over() => bail!("{} does not end", self.topic),
                Some(Err(_)) | None => {}
            }
        }
    }
}

fn position(checkpoint: &[u8]) -> Result<Lsn> {
    let json: serde_json::Value = serde_json::from_slice(checkpoint)?;
    let lsn = json["lsn"].as_str();
    lsn.with_context(|| format!("no lsn in {json}"))?.parse()
}
