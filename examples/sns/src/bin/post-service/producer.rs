//! Sends events to Kafka, as a service does that does it by itself.

use std::time::Duration;

use anyhow::{Context, Result};
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use sns::event::MemberId;

/// How long Kafka has to acknowledge an event. A request waits for it, so it must not be long.
const PATIENCE: Duration = Duration::from_secs(2);

/// A producer for one topic. Clones share its connections.
#[derive(Clone)]
pub(crate) struct Producer {
    kafka: FutureProducer,
    topic: String,
}

impl Producer {
    /// Connects in the background, whether Kafka is there or not.
    pub(crate) fn new(brokers: &str, topic: &str) -> Result<Self> {
        let kafka = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", PATIENCE.as_millis().to_string())
            // As cdc-relay has it, so that a topic can change its mode.
            .set("partitioner", "murmur2_random")
            .set("reconnect.backoff.max.ms", "500")
            .create()
            .context("the producer cannot be made")?;
        let topic = topic.to_owned();
        Ok(Self { kafka, topic })
    }

    /// Sends an event, and waits until Kafka has it. Dropped before that, it may arrive or not.
    ///
    /// # Errors
    ///
    /// If Kafka does not take it in time: it will not be tried again.
    pub(crate) async fn send(&self, author: MemberId, event: &str) -> Result<()> {
        let key = author.to_string();
        let record = FutureRecord::to(&self.topic).key(&key).payload(event);
        match self.kafka.send(record, Timeout::After(PATIENCE)).await {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.into()),
        }
    }
}
