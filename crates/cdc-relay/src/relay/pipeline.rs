//! From stream events to Kafka records.
//!
//! One task owns a pipeline. Records go out in stream order while their transaction is still arriving; nothing is
//! collected, so a transaction of a million rows needs no more memory than one of ten.

mod contract;
mod sending;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use cdc_event::{ChangeIndex, Position};
use cdc_outbox::Layout;
use pg_lsn::Lsn;
use pg_replication::pgoutput::{
    Begin, Commit, LogicalMessage, Message, Relation, RelationId, Tuple, Xid,
};
use pg_replication::{CommitToken, PgTimestamp, StreamEvent};

pub(super) use self::contract::Contract;
use self::sending::{SendFailure, remains_of_tuple, send};
use super::backfill::Overlap;
use super::checkpoint::{PartialTransaction, SeenCommit};
use super::coverage::{Coverage, Covered};
use super::error::RelayError;
use super::lineage::Lineage;
use super::metrics::RelayMetrics;
use super::outbound::{Mark, MarkKind, Outbound};
use super::park::{Poisoned, Remains};
use super::topic::{KnownTopics, Refusal};

/// The header with the event's id.
pub(super) const ID_HEADER: &str = "id";

/// Why an event could not be taken right now. It comes back, to be offered again.
#[derive(Debug)]
pub(super) enum Obstacle {
    /// As much is under way as may be.
    Full,
    /// Only one record may be under way.
    OneByOne,
    /// Nobody has looked yet whether this topic exists.
    UnseenTopic(Arc<str>),
    /// The event itself is at fault.
    Poison(Box<Poisoned>),
}

/// Which event a row is, and where it goes.
#[derive(Debug, Clone)]
pub(super) struct Identity<'a> {
    pub(super) id: Cow<'a, [u8]>,
    pub(super) topic: &'a str,
}

/// What happened to an event.
#[derive(Debug)]
pub(super) enum Offered {
    Taken,
    Blocked(StreamEvent, Obstacle),
}

#[derive(Debug, Clone, Copy)]
struct OpenTransaction {
    /// Of the next change.
    position: Position,
    committed_at: PgTimestamp,
    xid: Xid,
    covered: Covered,
}

/// A table as it was last described.
#[derive(Debug)]
struct Table {
    relation: Relation,
    /// `None`: it is published, but is not an outbox.
    layout: Option<Layout>,
}

/// The state of one session between stream and producer.
#[derive(Debug)]
pub(super) struct Pipeline {
    contract: Contract,
    topics: KnownTopics,
    tables: HashMap<RelationId, Table>,
    coverage: Coverage,
    lineage: Lineage,
    /// Rows that were sent from their table.
    overlap: Option<Overlap>,
    transaction: Option<OpenTransaction>,
    metrics: RelayMetrics,
}

impl OpenTransaction {
    fn has_next(&self) -> bool {
        match self.covered {
            Covered::Whole => true,
            Covered::Before(position) => self.position.index < position.index,
            Covered::Nothing => false,
        }
    }
}

impl Pipeline {
    /// What `coverage` covers is not sent; the history must have `seen` where it says.
    pub(super) fn new(
        contract: Contract,
        coverage: Coverage,
        seen: Option<SeenCommit>,
        metrics: RelayMetrics,
    ) -> Self {
        Self {
            contract,
            topics: KnownTopics::default(),
            tables: HashMap::new(),
            coverage,
            lineage: Lineage::new(seen, coverage.lsn()),
            overlap: None,
            transaction: None,
            metrics,
        }
    }

    /// A transaction has begun to arrive and has not ended.
    pub(super) fn in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// Where the stream stands in a transaction of which something may have been sent.
    pub(super) fn partial(&self) -> Option<PartialTransaction> {
        let transaction = self.transaction?;
        match transaction.covered {
            Covered::Whole => None,
            Covered::Before(position) => {
                PartialTransaction::before(position.max(transaction.position))
            }
            Covered::Nothing => PartialTransaction::before(transaction.position),
        }
    }

    /// Of an event that is offered next, if it has one.
    pub(super) fn position_of(&self, event: &StreamEvent) -> Option<Position> {
        match event {
            StreamEvent::Standalone(message, _) => Some(Position {
                commit_lsn: message.lsn,
                index: ChangeIndex::FIRST,
            }),
            _ => self.position(),
        }
    }

    /// Of the change that is offered next.
    pub(super) fn position(&self) -> Option<Position> {
        self.transaction.map(|transaction| transaction.position)
    }

    /// The topics that records may be on their way to.
    pub(super) fn topics(&self) -> Vec<String> {
        self.topics.existing().map(str::to_owned).collect()
    }

    pub(super) fn topic_exists(&mut self, topic: Arc<str>) {
        self.topics.exists(topic);
    }

    /// A topic takes nothing: events for it are at fault, for a while.
    pub(super) fn topic_refused(&mut self, topic: Arc<str>, refusal: Refusal) {
        self.topics.refuse(topic, refusal);
    }

    /// Takes the next event of the stream, or gives it back with what is in the way.
    pub(super) fn offer(
        &mut self,
        event: StreamEvent,
        outbound: &mut Outbound,
    ) -> Result<Offered, RelayError> {
        let obstacle = match &event {
            StreamEvent::Begin(begin) => {
                self.end_overlap(begin.final_lsn, outbound);
                self.begin(begin)?;
                None
            }
            StreamEvent::Idle { token, .. } => {
                self.lineage
                    .pass_idle(token.lsn())
                    .map_err(RelayError::Gap)?;
                self.end_overlap(token.lsn(), outbound);
                None
            }
            StreamEvent::Change(change) => self.change(change, outbound)?,
            StreamEvent::Standalone(message, _) if self.coverage.has_standalone(message) => None,
            StreamEvent::Standalone(message, _) => self.emitted(message, outbound)?,
            StreamEvent::Commit(..) => None,
        };
        if let Some(obstacle) = obstacle {
            return Ok(Offered::Blocked(event, obstacle));
        }
        self.pass(event, outbound);
        Ok(Offered::Taken)
    }

    /// Goes on after an event that was refused, and dealt with otherwise.
    pub(super) fn pass_over(&mut self, event: StreamEvent, outbound: &mut Outbound) {
        if let StreamEvent::Change(_) = &event {
            self.count_change();
        }
        self.pass(event, outbound);
    }

    fn pass(&mut self, event: StreamEvent, outbound: &mut Outbound) {
        match event {
            StreamEvent::Commit(commit, token) => self.commit(&commit, token, outbound),
            StreamEvent::Standalone(message, token) => {
                let covered = self.coverage.has_standalone(&message);
                self.mark(
                    outbound,
                    Mark {
                        kind: if covered {
                            MarkKind::Covered
                        } else {
                            MarkKind::Standalone
                        },
                        token: Some(token),
                    },
                );
            }
            StreamEvent::Idle {
                token,
                reply_requested,
            } => self.mark(
                outbound,
                Mark {
                    kind: MarkKind::Idle {
                        urgent: reply_requested,
                    },
                    token: Some(token),
                },
            ),
            StreamEvent::Begin(_) | StreamEvent::Change(_) => {}
        }
    }

    fn begin(&mut self, begin: &Begin) -> Result<(), RelayError> {
        self.lineage.pass(begin).map_err(RelayError::Gap)?;
        let position = Position {
            commit_lsn: begin.final_lsn,
            index: ChangeIndex::FIRST,
        };
        self.transaction = Some(OpenTransaction {
            position,
            committed_at: begin.commit_time,
            xid: begin.xid,
            covered: self.coverage.of_transaction(begin),
        });
        Ok(())
    }

    fn commit(&mut self, commit: &Commit, token: CommitToken, outbound: &mut Outbound) {
        let transaction = self.transaction.take();
        let covered = transaction.is_some_and(|transaction| transaction.covered == Covered::Whole);
        self.mark(
            outbound,
            Mark {
                kind: if covered {
                    MarkKind::Covered
                } else {
                    MarkKind::Commit {
                        commit_lsn: commit.commit_lsn,
                        committed_at: commit.commit_time,
                    }
                },
                token: Some(token),
            },
        );
    }

    /// Before the history is known to be the same, nothing is confirmed: it would not come again to be sent.
    fn mark(&self, outbound: &mut Outbound, mark: Mark) {
        if !self.lineage.is_due() {
            outbound.mark(mark);
        }
    }

    fn change(
        &mut self,
        change: &LogicalMessage,
        outbound: &mut Outbound,
    ) -> Result<Option<Obstacle>, RelayError> {
        let covered = self
            .transaction
            .is_some_and(|transaction| transaction.has_next());
        let obstacle = match change {
            LogicalMessage::Insert(insert) if covered => {
                if self.is_outbox(insert.relation)? {
                    self.metrics.suppressed.increment(1);
                }
                None
            }
            LogicalMessage::Insert(insert) => self.row(insert.relation, &insert.new, outbound)?,
            LogicalMessage::Message(_) if covered => None,
            LogicalMessage::Message(message) => self.emitted(message, outbound)?,
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
        if obstacle.is_none() {
            self.count_change();
        }
        Ok(obstacle)
    }

    fn count_change(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.position.index = transaction.position.index.next();
        }
    }
}

/// Events.
impl Pipeline {
    fn table(&self, relation: RelationId) -> Result<&Table, RelayError> {
        let table = self.tables.get(&relation);
        table.ok_or(RelayError::UndescribedRelation { relation })
    }

    fn is_outbox(&self, relation: RelationId) -> Result<bool, RelayError> {
        Ok(self.table(relation)?.layout.is_some())
    }

    fn row(
        &mut self,
        relation: RelationId,
        tuple: &Tuple,
        outbound: &mut Outbound,
    ) -> Result<Option<Obstacle>, RelayError> {
        let Some(table) = self.tables.get(&relation) else {
            return Err(RelayError::UndescribedRelation { relation });
        };
        let Some(layout) = &table.layout else {
            return Ok(None);
        };
        let committed_at = self.transaction.map(|transaction| transaction.committed_at);
        let was_read = |id: &[u8]| {
            let both = self.transaction.as_ref().zip(self.overlap.as_ref());
            both.is_some_and(|(transaction, overlap)| overlap.has(id, transaction.xid))
        };
        let (failure, remains) = match self.contract.encoder.row(layout, tuple, committed_at) {
            Ok(event) if was_read(&event.id) => {
                self.metrics.suppressed.increment(1);
                return Ok(None);
            }
            Ok(event) => match send(outbound, &mut self.topics, &event) {
                Ok(obstacle) => return Ok(obstacle),
                Err(failure) => (failure, Remains::of_event(&event)),
            },
            Err(reason) => (
                SendFailure::Row(reason),
                remains_of_tuple(&table.relation, tuple),
            ),
        };
        self.told(failure, remains)
    }

    /// The stream comes next. What it sends of the rows that were read does not count twice; and it describes its tables
    /// itself: what was read as a part of an outbox it calls by the partition's own name.
    pub(super) fn reading_is_over(&mut self, overlap: Option<Overlap>) {
        self.tables.clear();
        self.overlap = overlap;
    }

    /// The stream is at `lsn`.
    fn end_overlap(&mut self, lsn: Lsn, outbound: &mut Outbound) {
        if self
            .overlap
            .as_ref()
            .is_some_and(|overlap| overlap.is_over(lsn))
        {
            self.overlap = None;
            outbound.mark(Mark {
                kind: MarkKind::Backfill(None),
                token: None,
            });
        }
    }

    /// Which event a row of a table is; `None` when it is none.
    pub(super) fn identify<'a>(
        &'a mut self,
        relation: &Relation,
        tuple: &'a Tuple,
    ) -> Result<Option<Identity<'a>>, RelayError> {
        if !self.contract.takes_row(relation, tuple) {
            return Ok(None);
        }
        if !self.tables.contains_key(&relation.id) {
            self.describe(relation)?;
        }
        let table = self.tables.get(&relation.id);
        let Some(layout) = table.and_then(|table| table.layout.as_ref()) else {
            return Ok(None);
        };
        let event = self.contract.encoder.row(layout, tuple, None).ok();
        Ok(event.map(|event| Identity {
            id: event.id,
            topic: event.topic,
        }))
    }

    /// A row that was read from its table.
    pub(super) fn backfill(
        &mut self,
        relation: &Relation,
        tuple: &Tuple,
        outbound: &mut Outbound,
    ) -> Result<Option<Obstacle>, RelayError> {
        if !self.contract.takes_row(relation, tuple) {
            return Ok(None);
        }
        if !self.tables.contains_key(&relation.id) {
            self.describe(relation)?;
        }
        self.row(relation.id, tuple, outbound)
    }

    fn emitted(
        &mut self,
        message: &Message,
        outbound: &mut Outbound,
    ) -> Result<Option<Obstacle>, RelayError> {
        if !self
            .contract
            .config
            .message_prefixes
            .iter()
            .any(|prefix| prefix.as_bytes() == message.prefix)
            || !self.contract.takes_message(message)
        {
            return Ok(None);
        }
        let committed_at = self.transaction.map(|transaction| transaction.committed_at);
        let encoder = &mut self.contract.encoder;
        let (failure, remains) = match encoder.message(&message.content, committed_at) {
            Ok(event) => match send(outbound, &mut self.topics, &event) {
                Ok(obstacle) => return Ok(obstacle),
                Err(failure) => (failure, Remains::of_event(&event)),
            },
            Err(reason) => (
                SendFailure::Row(reason),
                Remains::of_payload(message.content.to_vec()),
            ),
        };
        self.told(failure, remains)
    }

    /// Whether the event is at fault, or something else.
    fn told(&self, failure: SendFailure, remains: Remains) -> Result<Option<Obstacle>, RelayError> {
        let error = match failure {
            SendFailure::Row(reason) => RelayError::InvalidRow {
                position: self.position(),
                reason,
            },
            SendFailure::Topic(topic, Refusal::Missing) => RelayError::TopicMissing {
                topic: topic.to_string(),
            },
            SendFailure::Topic(topic, Refusal::Denied) => RelayError::TopicDenied {
                topic: topic.to_string(),
            },
            SendFailure::Kafka(source) => RelayError::refused(source, None),
        };
        if error.poison().is_none() {
            return Err(error);
        }
        Ok(Some(Obstacle::Poison(Box::new(Poisoned {
            error,
            remains,
        }))))
    }

    fn describe(&mut self, relation: &Relation) -> Result<(), RelayError> {
        let is_outbox = self
            .contract
            .config
            .tables
            .iter()
            .any(|table| table.is(&relation.namespace, &relation.name));
        // Under its new name it would count as a table that is no outbox, and its rows would be lost.
        let before = self.tables.get(&relation.id);
        if !is_outbox && let Some(before) = before.and_then(|table| table.layout.as_ref()) {
            return Err(RelayError::OutboxRenamed {
                before: before.table().to_owned(),
                after: format!("{}.{}", relation.namespace, relation.name),
            });
        }
        let layout = is_outbox
            .then(|| self.contract.layout(relation))
            .transpose()?;
        let table = Table {
            relation: relation.clone(),
            layout,
        };
        self.tables.insert(relation.id, table);
        Ok(())
    }
}
