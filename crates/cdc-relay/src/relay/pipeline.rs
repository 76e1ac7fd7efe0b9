//! From stream events to Kafka records, and from delivery reports back to what the slot may pass.
//!
//! One task owns a pipeline. Records go to the producer in stream order while their transaction is still
//! arriving; nothing is collected, so a transaction of a million rows needs no more memory than one of ten.

use std::collections::HashMap;
use std::sync::Arc;

use cdc_event::{ChangeIndex, Position, Watermark};
use cdc_kafka::{Delivery, HeaderRef, OrderedProducer, OutgoingRecord, SendError, TimestampMillis};
use pg_replication::pgoutput::{Begin, LogicalMessage, Message, Relation, RelationId};
use pg_replication::{CommitToken, PgTimestamp, ReplicationStream, StreamEvent};

use super::error::RelayError;
use super::headers;
use super::layout::Layout;
use super::message::EmittedEvent;
use super::metrics::RelayMetrics;
use super::row::{InvalidRow, Row};
use super::topic::{Route, TopicRouter};
use crate::config::OutboxConfig;

/// Records that may be delivered ahead of one that is stuck, before reading stops: each costs a mark at most.
const MAX_SPAN: u64 = 200_000;

/// Why an event could not be taken right now. It comes back, to be offered again.
#[derive(Debug)]
pub(super) enum Obstacle {
    /// The producer holds as much as it may.
    Full,
    /// Nobody has looked yet whether this topic exists.
    UnseenTopic(Arc<str>),
}

/// What happened to an event.
#[derive(Debug)]
pub(super) enum Offered {
    Taken,
    Blocked(StreamEvent, Obstacle),
}

/// A transaction's end in the watermark.
#[derive(Debug)]
struct Mark {
    token: CommitToken,
    committed_at: Option<PgTimestamp>,
}

#[derive(Debug, Clone, Copy)]
struct OpenTransaction {
    position: Position,
    committed_at: PgTimestamp,
}

/// The state of one session between stream and producer.
#[derive(Debug)]
pub(super) struct Pipeline {
    config: OutboxConfig,
    producer: OrderedProducer,
    router: TopicRouter,
    /// `None`: a table that is published but is not an outbox.
    layouts: HashMap<RelationId, Option<Layout>>,
    watermark: Watermark<Mark>,
    transaction: Option<OpenTransaction>,
    deliveries: Vec<Delivery>,
    metrics: RelayMetrics,
}

impl Pipeline {
    pub(super) fn new(
        config: OutboxConfig,
        producer: OrderedProducer,
        metrics: RelayMetrics,
    ) -> Self {
        Self {
            router: TopicRouter::new(config.topic.clone()),
            config,
            producer,
            layouts: HashMap::new(),
            watermark: Watermark::new(),
            transaction: None,
            deliveries: Vec::new(),
            metrics,
        }
    }

    pub(super) fn producer(&self) -> &OrderedProducer {
        &self.producer
    }

    pub(super) fn into_producer(self) -> OrderedProducer {
        self.producer
    }

    /// There is room for a batch of records, not just for one.
    pub(super) fn has_room(&self) -> bool {
        self.producer.has_room() && self.watermark.span() < MAX_SPAN
    }

    /// A transaction has begun to arrive and has not ended.
    pub(super) fn in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// The topics that records may be on their way to.
    pub(super) fn topics(&self) -> Vec<String> {
        self.router.existing().map(str::to_owned).collect()
    }

    pub(super) fn topic_exists(&mut self, topic: Arc<str>) {
        self.router.exists(topic);
    }

    /// Nothing waits for Kafka.
    pub(super) fn is_idle(&self) -> bool {
        self.watermark.is_idle()
    }

    /// Takes the next event of the stream, or gives it back with what is in the way.
    pub(super) fn offer(&mut self, event: StreamEvent) -> Result<Offered, RelayError> {
        let obstacle = match &event {
            StreamEvent::Begin(begin) => {
                self.begin(begin);
                None
            }
            StreamEvent::Change(change) => self.change(change)?,
            StreamEvent::Standalone(message, _) => self.standalone(message)?,
            StreamEvent::Commit(..) => None,
        };
        if let Some(obstacle) = obstacle {
            return Ok(Offered::Blocked(event, obstacle));
        }
        match event {
            StreamEvent::Commit(commit, token) => {
                self.transaction = None;
                self.watermark.mark(Mark {
                    token,
                    committed_at: Some(commit.commit_time),
                });
            }
            StreamEvent::Standalone(_, token) => {
                self.watermark.mark(Mark {
                    token,
                    committed_at: None,
                });
            }
            StreamEvent::Begin(_) | StreamEvent::Change(_) => {}
        }
        Ok(Offered::Taken)
    }

    fn begin(&mut self, begin: &Begin) {
        let position = Position {
            commit_lsn: begin.final_lsn,
            index: ChangeIndex::FIRST,
        };
        self.transaction = Some(OpenTransaction {
            position,
            committed_at: begin.commit_time,
        });
    }

    fn change(&mut self, change: &LogicalMessage) -> Result<Option<Obstacle>, RelayError> {
        let obstacle = match change {
            LogicalMessage::Insert(insert) => match self.layouts.get(&insert.relation) {
                Some(Some(layout)) => {
                    let row = layout
                        .read(&insert.new)
                        .map_err(|reason| self.invalid(reason))?;
                    send(
                        &self.producer,
                        &mut self.router,
                        &mut self.watermark,
                        &row,
                        self.transaction.map(|transaction| transaction.committed_at),
                    )
                    .map_err(|failure| failure.at(self.position()))?
                }
                Some(None) => None,
                None => {
                    return Err(RelayError::UndescribedRelation {
                        relation: insert.relation,
                    });
                }
            },
            LogicalMessage::Message(message) => self.emitted(message)?,
            LogicalMessage::Relation(relation) => {
                self.describe(relation)?;
                return Ok(None);
            }
            LogicalMessage::Update(_) | LogicalMessage::Delete(_) | LogicalMessage::Truncate(_) => {
                self.metrics.ignored_changes.increment(1);
                None
            }
            LogicalMessage::Begin(_)
            | LogicalMessage::Commit(_)
            | LogicalMessage::Origin(_)
            | LogicalMessage::Type(_) => return Ok(None),
        };
        if obstacle.is_none()
            && let Some(transaction) = &mut self.transaction
        {
            transaction.position.index = transaction.position.index.next();
        }
        Ok(obstacle)
    }

    fn standalone(&mut self, message: &Message) -> Result<Option<Obstacle>, RelayError> {
        self.emitted(message)
    }

    fn emitted(&mut self, message: &Message) -> Result<Option<Obstacle>, RelayError> {
        if !self
            .config
            .message_prefixes
            .iter()
            .any(|prefix| prefix.as_bytes() == message.prefix)
        {
            return Ok(None);
        }
        let event = EmittedEvent::parse(&message.content).map_err(|reason| self.invalid(reason))?;
        let row = event.row().map_err(|reason| self.invalid(reason))?;
        send(
            &self.producer,
            &mut self.router,
            &mut self.watermark,
            &row,
            self.transaction.map(|transaction| transaction.committed_at),
        )
        .map_err(|failure| failure.at(self.position()))
    }

    fn describe(&mut self, relation: &Relation) -> Result<(), RelayError> {
        let is_outbox = self
            .config
            .tables
            .iter()
            .any(|table| table.is(&relation.namespace, &relation.name));
        // Under its new name it would count as a table that is no outbox, and its rows would be lost.
        if !is_outbox && let Some(Some(before)) = self.layouts.get(&relation.id) {
            return Err(RelayError::OutboxRenamed {
                before: before.table().to_owned(),
                after: format!("{}.{}", relation.namespace, relation.name),
            });
        }
        let layout = is_outbox
            .then(|| Layout::of(relation, &self.config))
            .transpose()?;
        self.layouts.insert(relation.id, layout);
        Ok(())
    }

    fn position(&self) -> Option<Position> {
        self.transaction.map(|transaction| transaction.position)
    }

    fn invalid(&self, reason: InvalidRow) -> RelayError {
        RelayError::InvalidRow {
            position: self.position(),
            reason,
        }
    }

    /// Takes in the delivery reports and acknowledges to the stream what is durable up to a commit.
    ///
    /// # Errors
    ///
    /// A record that Kafka refused. What came before it is acknowledged first; nothing after it will be.
    pub(super) fn settle(&mut self, stream: &mut ReplicationStream) -> Result<(), RelayError> {
        self.producer.take_deliveries(&mut self.deliveries);
        let mut refused = None;
        let mut delivered = 0;
        for delivery in self.deliveries.drain(..) {
            match delivery.result {
                Ok(()) => {
                    self.watermark.acknowledge(delivery.sequence);
                    delivered += 1;
                }
                Err(source) => refused = refused.or(Some(source)),
            }
        }
        self.metrics.events.increment(delivered);
        self.release(stream);
        match refused.or_else(|| self.producer.fatal()) {
            Some(source) => Err(RelayError::Refused { source }),
            None => Ok(()),
        }
    }

    fn release(&mut self, stream: &mut ReplicationStream) {
        let mut released = 0;
        let now = PgTimestamp::now();
        while let Some(mark) = self.watermark.release() {
            released += 1;
            if let Some(committed_at) = mark.committed_at {
                self.metrics.acknowledged(committed_at, now);
            }
            stream.acknowledge(mark.token);
        }
        self.metrics.transactions.increment(released);
    }
}

/// A record that could not be handed to the producer.
enum SendFailure {
    Row(InvalidRow),
    Kafka(cdc_kafka::Error),
}

impl SendFailure {
    fn at(self, position: Option<Position>) -> RelayError {
        match self {
            Self::Row(reason) => RelayError::InvalidRow { position, reason },
            Self::Kafka(source) => RelayError::Refused { source },
        }
    }
}

/// A function of its parts, since the row borrows from the pipeline's layouts.
fn send(
    producer: &OrderedProducer,
    router: &mut TopicRouter,
    watermark: &mut Watermark<Mark>,
    row: &Row<'_>,
    committed_at: Option<PgTimestamp>,
) -> Result<Option<Obstacle>, SendFailure> {
    let route = router
        .route(row.route)
        .map_err(|illegal| SendFailure::Row(InvalidRow::IllegalTopic(illegal)))?;
    let topic = match route {
        Route::Known(topic) => topic,
        Route::Unseen(topic) => return Ok(Some(Obstacle::UnseenTopic(topic))),
    };
    if watermark.span() >= MAX_SPAN {
        return Ok(Some(Obstacle::Full));
    }
    let extra = headers::parse(row.headers).map_err(SendFailure::Row)?;
    let id = HeaderRef {
        name: "id",
        value: Some(row.id),
    };
    let mut all;
    let headers = if extra.is_empty() {
        std::slice::from_ref(&id)
    } else {
        all = Vec::with_capacity(1 + extra.len());
        all.push(id);
        all.extend(extra.iter().map(|(name, value)| HeaderRef {
            name,
            value: value.as_ref().map(String::as_bytes),
        }));
        &all
    };
    let record = OutgoingRecord {
        topic: &topic,
        partition: None,
        key: row.key.as_deref(),
        value: row.payload.as_deref(),
        headers,
        timestamp: committed_at.map(|at| TimestampMillis(at.to_unix_micros().div_euclid(1000))),
    };
    match producer.try_send(record, watermark.next_sequence()) {
        Ok(()) => {
            watermark.assign();
            Ok(None)
        }
        Err(SendError::Full) => Ok(Some(Obstacle::Full)),
        Err(SendError::Failed(source)) => Err(SendFailure::Kafka(source)),
    }
}
