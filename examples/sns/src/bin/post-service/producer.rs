//! Sends events to Kafka, as a service does that does it by itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    config: ClientConfig,
    current: Arc<Mutex<Current>>,
    topic: String,
}

/// The client that is in use, and the how-manieth it is.
#[derive(Clone)]
struct Current {
    kafka: FutureProducer,
    number: u64,
}

impl Producer {
    /// Connects in the background, whether Kafka is there or not.
    pub(crate) fn new(brokers: &str, topic: &str) -> Result<Self> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", brokers)
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", PATIENCE.as_millis().to_string())
            // As cdc-relay has it, so that a topic can change its mode.
            .set("partitioner", "murmur2_random")
            .set("reconnect.backoff.max.ms", "500");
        let kafka = config.create().context("the producer cannot be made")?;
        Ok(Self {
            config,
            current: Arc::new(Mutex::new(Current { kafka, number: 0 })),
            topic: topic.to_owned(),
        })
    }

    /// Sends an event, and waits until Kafka has it. Dropped before that, it may arrive or not.
    ///
    /// # Errors
    ///
    /// If Kafka does not take it in time: it will not be tried again.
    pub(crate) async fn send(&self, author: MemberId, event: &str) -> Result<()> {
        let key = author.to_string();
        let record = FutureRecord::to(&self.topic).key(&key).payload(event);
        let Current { kafka, number } = self.current().clone();
        match kafka.send(record, Timeout::After(PATIENCE)).await {
            Ok(_) => Ok(()),
            Err((error, _)) => {
                self.replace(number)?;
                Err(error.into())
            }
        }
    }

    /// librdkafka can forget a partition for good when it asks at the wrong moment of a broker's restart (its issue
    /// 5430). A new client asks again.
    fn replace(&self, failed: u64) -> Result<()> {
        let mut current = self.current();
        // Others may have failed at the same time.
        if current.number == failed {
            current.kafka = self
                .config
                .create()
                .context("the producer cannot be made")?;
            current.number += 1;
        }
        Ok(())
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
