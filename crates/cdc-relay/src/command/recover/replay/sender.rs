//! Sends events to Kafka.
//!
//! A batch ends in bounded time, so that the hold on its events does not end before: it stops sending after
//! [`SEND_LIMIT`], and waits for acknowledgements for [`ACKNOWLEDGE_LIMIT`].

use std::time::Duration;

use cdc_event::Sequence;
use cdc_kafka::{
    Delivery, Disposition, HeaderRef, Limits, OrderedProducer, OutgoingRecord, SendError,
    TimestampMillis,
};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout_at};
use tokio_util::sync::CancellationToken;

use super::fate::{Fate, Refusal};
use super::outgoing::{Outgoing, Replayable};
use super::topics::KnownTopics;
use crate::cli::Rate;
use crate::config::Config;
use crate::error_code::ErrorCode;
use crate::failure::{Context, Failure};

const SEND_LIMIT: Duration = Duration::from_secs(30);
const ACKNOWLEDGE_LIMIT: Duration = Duration::from_secs(30);

/// How long the producer may take to go.
const FAREWELL: Duration = Duration::from_secs(10);

/// What became of a batch.
#[derive(Debug)]
pub(super) struct Sent {
    /// One for each event.
    pub(super) fates: Vec<Fate>,
    /// What stands in the way of every event; the sender must be closed then.
    pub(super) trouble: Option<Failure>,
}

/// A batch under way; an event's sequence is its place after `first`.
struct Batch {
    first: u64,
    fates: Vec<Fate>,
    trouble: Option<Failure>,
}

impl Batch {
    fn waits(&self) -> bool {
        self.fates.iter().any(|fate| matches!(fate, Fate::InFlight))
    }
}

/// A producer with what is known of the topics.
#[derive(Debug)]
pub(super) struct Sender<'a> {
    config: &'a Config,
    producer: OrderedProducer,
    topics: KnownTopics<'a>,
    pace: Option<Interval>,
    next: u64,
}

impl<'a> Sender<'a> {
    /// Connects, and looks whether the cluster answers.
    pub(super) async fn open(config: &'a Config, rate: Option<Rate>) -> Result<Self, Failure> {
        let topics = KnownTopics::open(config).await?;
        let producer =
            OrderedProducer::new(&config.kafka.options(), Limits::default()).map_err(|error| {
                Failure::from_kafka(error, Context::new(config, "start the Kafka producer"))
            })?;
        let pace = rate.map(|rate| {
            let mut pace = interval(Duration::from_secs(1) / rate.per_second());
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            pace
        });
        Ok(Self {
            config,
            producer,
            topics,
            pace,
            next: 0,
        })
    }

    /// Sends the events in order and waits for their acknowledgements. After an interruption no further event is sent.
    pub(super) async fn send(
        &mut self,
        events: &[impl Replayable],
        shutdown: &CancellationToken,
    ) -> Sent {
        let mut batch = Batch {
            first: self.next,
            fates: events.iter().map(|_| Fate::Unsent).collect(),
            trouble: None,
        };
        self.next += events.len() as u64;
        let end = Instant::now() + SEND_LIMIT;
        for (index, event) in events.iter().enumerate() {
            if self.wait_for_turn(shutdown, end).await.is_none() {
                break;
            }
            match self
                .send_one(event.outgoing(), index, &mut batch, end)
                .await
            {
                Ok(fate) => batch.fates[index] = fate,
                Err(failure) => {
                    batch.trouble = Some(failure);
                    break;
                }
            }
        }
        self.await_acknowledgements(&mut batch).await;
        Sent {
            fates: batch.fates,
            trouble: batch.trouble,
        }
    }

    /// Lets go of the producer: what is in flight is given up, and nothing arrives afterwards.
    pub(super) async fn close(self) {
        if !self.producer.close(FAREWELL).await {
            tracing::warn!(
                "the Kafka producer did not end in time; what was in flight may still arrive"
            );
        }
    }

    /// `None` when nothing more is to be sent.
    async fn wait_for_turn(&mut self, shutdown: &CancellationToken, end: Instant) -> Option<()> {
        if shutdown.is_cancelled() || Instant::now() >= end {
            return None;
        }
        let Some(pace) = &mut self.pace else {
            return Some(());
        };
        tokio::select! {
            _ = pace.tick() => Some(()),
            () = shutdown.cancelled() => None,
        }
    }

    async fn send_one(
        &mut self,
        event: Outgoing<'_>,
        index: usize,
        batch: &mut Batch,
        end: Instant,
    ) -> Result<Fate, Failure> {
        let partitions = match self.topics.look_for(event.topic, event.source).await? {
            Ok(partitions) => partitions,
            Err(refusal) => return Ok(Fate::Refused(refusal)),
        };
        let resent = &event.resent;
        let headers: Vec<HeaderRef<'_>> = resent
            .headers
            .as_slice()
            .iter()
            .map(|header| HeaderRef {
                name: &header.name,
                value: header.value.as_deref(),
            })
            .collect();
        let record = OutgoingRecord {
            topic: event.topic,
            partition: event.partition.map(|number| partitions.place(number)),
            key: event.key,
            value: event.value,
            headers: &headers,
            // librdkafka takes no others.
            timestamp: resent
                .timestamp_ms
                .filter(|time| *time > 0)
                .map(TimestampMillis),
        };
        let sequence = Sequence::new(batch.first + index as u64);
        loop {
            match self.producer.try_send(record, sequence) {
                Ok(()) => return Ok(Fate::InFlight),
                Err(SendError::Failed(error)) => return self.fate_of(error),
                Err(SendError::Full) => {
                    let news = async {
                        tokio::select! {
                            () = self.producer.capacity() => {}
                            () = self.producer.delivered() => {}
                        }
                    };
                    if timeout_at(end, news).await.is_err() {
                        return Ok(Fate::Unsent);
                    }
                    self.take_deliveries(batch);
                }
            }
        }
    }

    async fn await_acknowledgements(&mut self, batch: &mut Batch) {
        let end = Instant::now() + ACKNOWLEDGE_LIMIT;
        loop {
            self.take_deliveries(batch);
            if batch.trouble.is_some() || !batch.waits() {
                return;
            }
            if let Some(error) = self.producer.fatal() {
                batch.trouble = Some(self.told(error, "send an event"));
                return;
            }
            if timeout_at(end, self.producer.delivered()).await.is_err() {
                batch.trouble = Some(Failure::new(
                    ErrorCode::KafkaUnreachable,
                    format!(
                        "Kafka has not acknowledged within {ACKNOWLEDGE_LIMIT:?} what was sent"
                    ),
                    "look whether every partition has a leader and enough in-sync replicas, then replay again; what \
                     did arrive arrives a second time then, under the same id",
                ));
                return;
            }
        }
    }

    fn take_deliveries(&self, batch: &mut Batch) {
        let mut deliveries: Vec<Delivery> = Vec::new();
        self.producer.take_deliveries(&mut deliveries);
        for delivery in deliveries {
            let index = delivery.sequence.get().checked_sub(batch.first);
            let Some(fate) =
                index.and_then(|index| batch.fates.get_mut(usize::try_from(index).ok()?))
            else {
                continue;
            };
            match delivery.result {
                Ok(()) => *fate = Fate::Acknowledged,
                Err(error) => match self.fate_of(error) {
                    Ok(refused) => *fate = refused,
                    Err(failure) => batch.trouble = Some(failure),
                },
            }
        }
    }

    /// Refused for good, or a reason to stop.
    fn fate_of(&self, error: cdc_kafka::Error) -> Result<Fate, Failure> {
        let poison = matches!(error.disposition(), Disposition::Poison(_));
        let failure = self.told(error, "send an event");
        if poison {
            Ok(Fate::Refused(Refusal::of(&failure)))
        } else {
            Err(failure)
        }
    }

    fn told(&self, error: cdc_kafka::Error, doing: &'static str) -> Failure {
        Failure::from_kafka(error, Context::new(self.config, doing))
    }
}
