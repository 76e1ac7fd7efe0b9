//! From stream events to Kafka records.
//!
//! One task owns a pipeline. Records go out in stream order while their transaction is still arriving; nothing is
//! collected, so a transaction of a million rows needs no more memory than one of ten.

mod contract;
mod events;
mod sending;
mod table_rows;
mod tables;

use std::sync::Arc;

use cdc_event::{ChangeIndex, Position};
use cdc_outbox::UnixMillis;
use pg_replication::pgoutput::{Begin, Commit, LogicalMessage, RelationId, Xid};
use pg_replication::{CommitToken, PgTimestamp, StreamEvent};

pub(super) use self::contract::Contract;
pub(super) use self::events::own_position;
pub(super) use self::table_rows::Identity;
use self::tables::Tables;
use super::backfill::Overlap;
use super::checkpoint::{PartialTransaction, SeenCommit};
use super::coverage::{Coverage, Covered};
use super::error::RelayError;
use super::lineage::Lineage;
use super::outbound::{Mark, MarkKind, Outbound};
use super::park::Poisoned;
use super::partition::Membership;
use super::topic::{KnownTopics, Refusal};
use crate::relay_state::RelayMetrics;

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
    /// Nobody has looked yet whether this table is a part of an outbox.
    UnseenTable(RelationId),
    /// The event itself is at fault.
    Poison(Box<Poisoned>),
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

/// The state of one session between stream and producer.
#[derive(Debug)]
pub(super) struct Pipeline {
    contract: Contract,
    topics: KnownTopics,
    tables: Tables,
    coverage: Coverage,
    lineage: Lineage,
    /// Rows that were sent from their table.
    overlap: Option<Overlap>,
    transaction: Option<OpenTransaction>,
    /// The time of the record that was sent last, if it has one.
    last_sent_at: Option<UnixMillis>,
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
    /// What `coverage` covers is not sent; the history must have `seen` where it says. Events for `refused` topics are at
    /// fault.
    pub(super) fn new(
        contract: Contract,
        refused: KnownTopics,
        coverage: Coverage,
        seen: Option<SeenCommit>,
        metrics: RelayMetrics,
    ) -> Self {
        Self {
            contract,
            topics: refused,
            tables: Tables::default(),
            coverage,
            lineage: Lineage::new(seen, coverage.lsn()),
            overlap: None,
            transaction: None,
            last_sent_at: None,
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
            StreamEvent::Standalone(message, _) => Some(own_position(message)),
            _ => self.position(),
        }
    }

    /// Of the change that is offered next.
    pub(super) fn position(&self) -> Option<Position> {
        self.transaction.map(|transaction| transaction.position)
    }

    /// The time of the record that was sent last; `None` if Kafka gives it one.
    pub(super) fn last_sent_at(&self) -> Option<UnixMillis> {
        self.last_sent_at
    }

    /// The topics that records may be on their way to.
    pub(super) fn topics(&self) -> Vec<String> {
        self.topics.existing().map(str::to_owned).collect()
    }

    pub(super) fn topic_exists(&mut self, topic: Arc<str>) {
        self.topics.exists(topic);
    }

    /// Whose part a table is that was in the way.
    pub(super) fn table_found(&mut self, relation: RelationId, membership: Membership) {
        self.tables.answer(relation, membership);
    }

    /// A topic takes nothing: events for it are at fault, for a while.
    pub(super) fn topic_refused(&mut self, topic: Arc<str>, refusal: Refusal) {
        self.topics.refuse(topic, refusal);
    }

    /// What is known of topics that take nothing.
    pub(super) fn into_refused_topics(self) -> KnownTopics {
        self.topics.only_refused()
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
                if self.tables.get(insert.relation)?.layout.is_some() {
                    self.metrics.suppressed.increment(1);
                }
                None
            }
            LogicalMessage::Insert(insert) => self.row(insert.relation, &insert.new, outbound)?,
            LogicalMessage::Message(_) if covered => None,
            LogicalMessage::Message(message) => self.emitted(message, outbound)?,
            LogicalMessage::Relation(relation) => {
                return self.tables.describe(relation, &self.contract);
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
