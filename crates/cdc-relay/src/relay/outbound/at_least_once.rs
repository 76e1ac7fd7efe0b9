//! An idempotent producer, a watermark over its acknowledgements, and checkpoints after the fact.
//!
//! The producer ends at a record that Kafka refuses, so that nothing behind it is seen before what shared its batch. Once
//! that is dealt with, another one takes its place.

use std::time::Duration;

use cdc_event::{Sequence, Watermark};
use cdc_kafka::{Delivery, OrderedProducer, OutgoingRecord, SendError};
use pg_replication::{CommitToken, PgTimestamp, ReplicationStream};
use tokio::time::Instant;

use super::{Checkpoints, Frontier, IDLE_INTERVAL, Mark};
use crate::relay::Relay;
use crate::relay::checkpoint::Checkpoint;
use crate::relay::error::RelayError;
use crate::relay_state::RelayMetrics;

/// Records that may be delivered ahead of one that is stuck, before reading stops: each costs a mark at most.
const MAX_SPAN: u64 = 200_000;

/// A crash repeats about as much, and the checkpoint of so many events costs nothing.
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(200);

/// Numbers of checkpoint records, far above those of the watermark.
const FIRST_CHECKPOINT: u64 = 1 << 47;

#[derive(Debug)]
pub(in crate::relay) struct AtLeastOnce {
    producer: OrderedProducer,
    watermark: Watermark<(Mark, Frontier)>,
    /// As of the newest mark.
    frontier: Frontier,
    checkpoints: Checkpoints,
    /// Acknowledged by Kafka, and waiting for a checkpoint that says so.
    released: Option<Released>,
    /// On its way to Kafka.
    writing: Option<Writing>,
    checkpoint_number: u64,
    /// When the last checkpoint was sent.
    checkpoint_at: Instant,
    deliveries: Vec<Delivery>,
    refused: Option<Sequence>,
}

#[derive(Debug)]
struct Released {
    token: Option<CommitToken>,
    frontier: Frontier,
    /// Nothing but an idle position.
    idle: bool,
    urgent: bool,
}

#[derive(Debug)]
struct Writing {
    number: Sequence,
    checkpoint: Checkpoint,
    token: Option<CommitToken>,
    frontier: Frontier,
}

impl AtLeastOnce {
    /// A producer to begin with.
    pub(in crate::relay) fn producer_of(relay: &Relay) -> Result<OrderedProducer, RelayError> {
        OrderedProducer::gapless(&relay.kafka, relay.limits).map_err(|source| RelayError::Kafka {
            doing: "start the Kafka producer",
            source,
        })
    }

    pub(in crate::relay) fn new(producer: OrderedProducer, checkpoints: Checkpoints) -> Self {
        Self {
            producer,
            watermark: Watermark::new(),
            frontier: checkpoints.frontier(),
            checkpoints,
            released: None,
            writing: None,
            checkpoint_number: FIRST_CHECKPOINT,
            checkpoint_at: Instant::now(),
            deliveries: Vec::new(),
            refused: None,
        }
    }

    /// Writes one checkpoint and waits until Kafka has it.
    pub(in crate::relay) async fn write(
        producer: &OrderedProducer,
        checkpoints: &Checkpoints,
        checkpoint: &Checkpoint,
    ) -> Result<(), RelayError> {
        let failed = |source| RelayError::Kafka {
            doing: "write a checkpoint",
            source,
        };
        let number = Sequence::new(FIRST_CHECKPOINT - 1);
        match checkpoints.record(checkpoint, |record| producer.try_send(record, number)) {
            // Nothing is under way yet.
            Ok(()) | Err(SendError::Full) => {}
            Err(SendError::Failed(source)) => return Err(failed(source)),
        }
        let mut deliveries = Vec::new();
        while deliveries.is_empty() {
            if let Some(source) = producer.fatal() {
                return Err(failed(source));
            }
            producer.delivered().await;
            producer.take_deliveries(&mut deliveries);
        }
        for delivery in deliveries {
            delivery.result.map_err(failed)?;
        }
        Ok(())
    }

    pub(super) fn checkpoints(&self) -> &Checkpoints {
        &self.checkpoints
    }

    pub(super) fn producer(&self) -> &OrderedProducer {
        &self.producer
    }

    pub(super) fn has_room(&self) -> bool {
        self.producer.has_room() && self.watermark.span() < MAX_SPAN
    }

    pub(super) fn try_send(&mut self, record: OutgoingRecord<'_>) -> Result<(), SendError> {
        if self.watermark.span() >= MAX_SPAN {
            return Err(SendError::Full);
        }
        self.producer
            .try_send(record, self.watermark.next_sequence())?;
        self.watermark.assign();
        Ok(())
    }

    pub(super) fn mark(&mut self, mark: Mark) {
        self.frontier.pass(&mark);
        self.watermark.mark((mark, self.frontier.clone()));
    }

    pub(super) fn settle(
        &mut self,
        stream: &mut ReplicationStream,
        metrics: &RelayMetrics,
    ) -> Result<(), RelayError> {
        self.producer.take_deliveries(&mut self.deliveries);
        let mut refused = None;
        let mut delivered = 0;
        let mut written = None;
        let mut given_up = false;
        for delivery in self.deliveries.drain(..) {
            let is_checkpoint = self
                .writing
                .as_ref()
                .is_some_and(|writing| writing.number == delivery.sequence);
            match delivery.result {
                Ok(()) if is_checkpoint => written = self.writing.take(),
                Ok(()) => {
                    self.watermark.acknowledge(delivery.sequence);
                    delivered += 1;
                }
                // A record was refused, which is told for itself.
                Err(source) if is_checkpoint && source.is_given_up() => given_up = true,
                Err(source) if source.is_given_up() => {}
                // Not an event's fault, whatever the reason.
                Err(source) if is_checkpoint => {
                    refused = Some(RelayError::Kafka {
                        doing: "write a checkpoint",
                        source,
                    });
                }
                Err(source) if refused.is_none() => {
                    self.refused = Some(delivery.sequence);
                    refused = Some(RelayError::refused(source, delivery.record));
                }
                Err(_) => {}
            }
        }
        if refused.is_some() {
            // Its end is final: librdkafka would keep for ever what it had put back to be sent again.
            self.producer.give_up();
        }
        metrics.events.increment(delivered);
        self.release(metrics);
        if given_up && let Some(writing) = self.writing.take() {
            self.take_back(writing);
        }
        if let Some(Writing {
            checkpoint, token, ..
        }) = written
        {
            self.checkpoints.written(checkpoint);
            if let Some(token) = token {
                stream.acknowledge(token);
            }
        }
        match refused.or_else(|| {
            let source = self.producer.fatal()?;
            Some(RelayError::refused(source, None))
        }) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn release(&mut self, metrics: &RelayMetrics) {
        let mut transactions = 0;
        let now = PgTimestamp::now();
        while let Some((mark, frontier)) = self.watermark.release() {
            transactions += u64::from(mark.is_transaction());
            if let Some(committed_at) = mark.committed_at() {
                metrics.acknowledged(committed_at, now);
            }
            let (idle, urgent) = (mark.is_idle(), mark.is_urgent());
            let before = self.released.take();
            self.released = Some(Released {
                idle: idle && before.as_ref().is_none_or(|before| before.idle),
                urgent: urgent || before.as_ref().is_some_and(|before| before.urgent),
                token: mark.token.or(before.and_then(|before| before.token)),
                frontier,
            });
        }
        metrics.transactions.increment(transactions);
    }

    /// A checkpoint that was not written goes into the next one.
    fn take_back(&mut self, writing: Writing) {
        let newer = self.released.take();
        self.released = Some(match newer {
            Some(newer) => Released {
                token: newer.token.or(writing.token),
                idle: false,
                ..newer
            },
            None => Released {
                token: writing.token,
                frontier: writing.frontier,
                idle: false,
                urgent: false,
            },
        });
    }

    pub(super) fn due(&self) -> Option<Instant> {
        let released = self.released.as_ref()?;
        if self.writing.is_some() {
            return None;
        }
        let pause = match released {
            Released { urgent: true, .. } => Duration::ZERO,
            Released { idle: true, .. } => IDLE_INTERVAL,
            _ => CHECKPOINT_INTERVAL,
        };
        Some(self.checkpoint_at + pause)
    }

    pub(super) fn advance(&mut self) -> Result<bool, RelayError> {
        if self.writing.is_some() {
            return Ok(true);
        }
        let Some(Released {
            token, frontier, ..
        }) = self.released.take()
        else {
            return Ok(true);
        };
        self.checkpoint_at = Instant::now();
        let checkpoint = self
            .checkpoints
            .next(&frontier, None)
            .unwrap_or_else(|| self.checkpoints.durable().clone());
        let number = Sequence::new(self.checkpoint_number);
        self.checkpoint_number += 1;
        let sent = self
            .checkpoints
            .record(&checkpoint, |record| self.producer.try_send(record, number));
        match sent {
            Ok(()) => {
                self.writing = Some(Writing {
                    number,
                    checkpoint,
                    token,
                    frontier,
                });
                Ok(true)
            }
            Err(SendError::Full) => {
                self.released = Some(Released {
                    token,
                    frontier,
                    idle: false,
                    urgent: false,
                });
                Ok(false)
            }
            Err(SendError::Failed(source)) => Err(RelayError::Kafka {
                doing: "write a checkpoint",
                source,
            }),
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        self.watermark.is_idle() && self.released.is_none() && self.writing.is_none()
    }

    pub(super) fn is_settled_before_the_refused(&self) -> bool {
        self.producer.in_flight().records == 0 && self.released.is_none() && self.writing.is_none()
    }

    pub(super) fn pass_over_refused(&mut self, relay: &Relay) -> Result<(), RelayError> {
        if let Some(sequence) = self.refused.take() {
            self.watermark.acknowledge(sequence);
        }
        self.renew_producer(relay)
    }

    /// Goes on with another producer where one has ended and has nothing in flight any more.
    pub(super) fn renew_producer(&mut self, relay: &Relay) -> Result<(), RelayError> {
        if self.producer.fatal().is_some() && self.producer.in_flight().records == 0 {
            self.producer = Self::producer_of(relay)?;
        }
        Ok(())
    }

    pub(super) async fn close(self, limit: Duration) -> bool {
        self.producer.close(limit).await
    }
}
