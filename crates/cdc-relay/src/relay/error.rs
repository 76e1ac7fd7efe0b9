//! Why a session of the relay ended, and the one decision of what follows.

use cdc_event::Position;
use cdc_kafka::{Disposition, OwnedRecord, PoisonReason, TransactionError};
use cdc_outbox::{InvalidRow, InvalidSettings, UnsuitableTable};
use pg_replication::pgoutput::RelationId;

use super::checkpoint::UnreadableCheckpoint;
use super::gap::Gap;
use super::topic::Refusal;
use crate::shard::Shards;

/// Where an event was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EventPlace {
    /// In the write-ahead log. A message from outside of any transaction has the position of its own record.
    Log(Position),
    /// In its table, by name.
    Table(String),
}

/// The end of a session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayError {
    /// PostgreSQL refused, or the connection to it broke.
    #[error("could not {doing}")]
    Postgres {
        /// What the relay did.
        doing: &'static str,
        /// Why.
        source: pg_replication::Error,
    },
    /// Kafka refused something other than a record.
    #[error("could not {doing}")]
    Kafka {
        /// What the relay did.
        doing: &'static str,
        /// Why.
        source: cdc_kafka::Error,
    },
    /// Kafka refused a record.
    #[error("Kafka did not take a record")]
    Refused {
        /// Why.
        source: cdc_kafka::Error,
        /// What was refused, if it was under way already.
        record: Option<Box<OwnedRecord>>,
    },
    /// Kafka did not commit a transaction.
    #[error("Kafka did not commit a transaction")]
    Transaction {
        /// Why.
        source: TransactionError,
    },
    /// The slot does not continue where the relay stopped.
    #[error(transparent)]
    Gap(Gap),
    /// There is no slot, and none was relayed before.
    #[error("the replication slot {slot:?} does not exist")]
    SlotMissing {
        /// Its name.
        slot: String,
    },
    /// The slot has lost its log, and none was relayed before.
    #[error("the server has removed log that the replication slot {slot:?} needed")]
    SlotLost {
        /// Its name.
        slot: String,
    },
    /// The rows of the outbox tables could not be read.
    #[error("could not read the rows that are to come before the stream")]
    Backfill {
        /// Why.
        source: outbox_scan::Error,
    },
    /// The store of failed events does not take one.
    #[error("could not store an event that can't be sent")]
    Store {
        /// Why.
        source: cdc_store::Error,
    },
    /// The task that reads rows of the outbox tables is gone.
    #[error("reading the rows that are to come before the stream ended too early")]
    BackfillEnded,
    /// Comparing needs memory for each id.
    #[error("more than {most} rows of the outbox tables would have to be compared with Kafka")]
    TooManyToCompare {
        /// How many can be.
        most: usize,
    },
    /// The relay's memory is not what this version wrote.
    #[error("the checkpoint of {key} can't be used")]
    Checkpoint {
        /// The record's key.
        key: String,
        /// Why.
        source: UnreadableCheckpoint,
    },
    /// A row or message that does not fit the outbox contract.
    #[error("the event {place} is not valid")]
    InvalidRow {
        /// Where it was read.
        place: EventPlace,
        /// Why.
        #[source]
        reason: InvalidRow,
    },
    /// The outbox table changed, or never fitted.
    #[error(transparent)]
    UnsuitableTable(#[from] UnsuitableTable),
    /// The settings of the outbox contradict each other.
    #[error(transparent)]
    InvalidSettings(#[from] InvalidSettings),
    /// An outbox table got another name while its rows were streamed.
    #[error("the outbox table {before} is called {after} now")]
    OutboxRenamed {
        /// Its name in the configuration.
        before: String,
        /// Its name in the database.
        after: String,
    },
    /// The publication does not exist.
    #[error("publication {publication:?} does not exist")]
    PublicationMissing {
        /// Its name.
        publication: String,
    },
    /// The publication would not carry the outbox's rows.
    #[error("publication {publication:?} does not publish {lacks}")]
    PublicationIncomplete {
        /// Its name.
        publication: String,
        /// What it leaves out.
        lacks: String,
    },
    /// The outbox has slots of another number of shards: two that take the same keys would send events twice.
    #[error(
        "`relay.shards` is {shards}, and there is the slot {slot:?}, one of {found} that share the outbox"
    )]
    OtherShards {
        /// As configured.
        shards: Shards,
        /// The slot that should not be there.
        slot: String,
        /// Of how many it is one.
        found: Shards,
    },
    /// A topic does not exist and is not to be created.
    #[error("the topic {topic:?} does not exist, and `kafka.topics.create` is false")]
    TopicMissing {
        /// Its name.
        topic: String,
    },
    /// The topic of the checkpoints does not exist and is not to be created.
    #[error(
        "the topic of the checkpoints, {topic:?}, does not exist, and `kafka.topics.create` is false"
    )]
    CheckpointTopicMissing {
        /// Its name.
        topic: String,
    },
    /// This client may not write to the topic of the checkpoints.
    #[error("Kafka does not let this client use the topic of the checkpoints, {topic:?}")]
    CheckpointTopicDenied {
        /// Its name.
        topic: String,
    },
    /// This client may not use a topic.
    #[error("Kafka does not let this client use the topic {topic:?}")]
    TopicDenied {
        /// Its name.
        topic: String,
    },
    /// Kafka is well, and still nothing is delivered.
    #[error("Kafka has a leader for every partition, but the producer delivers nothing")]
    ProducerStalled,
    /// The server sent a row of a table that it had not described.
    #[error("the server sent a row of relation {relation} before its description")]
    UndescribedRelation {
        /// The table's OID.
        relation: RelationId,
    },
}

/// What the relay does after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Connect again after a pause, and stream from the confirmed position.
    Reconnect,
    /// Another relay holds the slot: wait for it, and take over.
    StandBy,
    /// Stop and say what to do.
    Stop,
}

/// Why an event can't be sent, now or ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PoisonKind {
    /// It is no event of the outbox contract.
    InvalidRow,
    /// Its record is too large for the client or the topic.
    TooLarge,
    /// Its topic does not exist and is not to be created.
    UnknownTopic,
    /// This client may not write to its topic.
    NotAuthorised,
    /// Kafka has another objection to its record.
    InvalidRecord,
}

impl PoisonKind {
    /// As the metric's label has it.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::InvalidRow => "invalid_row",
            Self::TooLarge => "too_large",
            Self::UnknownTopic => "unknown_topic",
            Self::NotAuthorised => "not_authorised",
            Self::InvalidRecord => "invalid_record",
        }
    }
}

impl RelayError {
    pub(super) fn refused(source: cdc_kafka::Error, record: Option<Box<OwnedRecord>>) -> Self {
        Self::Refused { source, record }
    }

    /// The same of a transaction that held no event but `record`.
    pub(super) fn of_record(self, record: Box<OwnedRecord>) -> Self {
        match self {
            Self::Transaction { source } => {
                let topic = Box::from(&*record.topic);
                let error = source.into_error();
                let source = match error.code() {
                    Some(code) => cdc_kafka::Error::Record { topic, code },
                    None => error,
                };
                Self::refused(source, Some(record))
            }
            other => other,
        }
    }

    /// Whether it is for the permissions of this client on a topic, that of the checkpoints perhaps.
    pub(super) fn is_denied(&self) -> bool {
        match self {
            Self::Transaction { source } => denies_topic(source.error()),
            Self::Kafka { source, .. } | Self::Refused { source, .. } => denies_topic(source),
            _ => false,
        }
    }

    /// Whether it brings the record that it is about.
    pub(super) fn has_record(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                record: Some(_),
                ..
            }
        )
    }

    /// The error, and the record that it is about apart from it.
    pub(super) fn without_record(self) -> (Self, Option<Box<OwnedRecord>>) {
        match self {
            Self::Refused { source, record } => (Self::refused(source, None), record),
            other => (other, None),
        }
    }

    /// Whether a topic takes nothing, whatever the record.
    pub(super) fn refuses_topic(&self) -> Option<Refusal> {
        match self {
            Self::TopicMissing { .. } => Some(Refusal::Missing),
            Self::Kafka { .. } | Self::Refused { .. } if self.is_denied() => Some(Refusal::Denied),
            _ => None,
        }
    }

    /// Whether Kafka refuses this client as a whole, as far as one try can tell.
    pub(super) fn refuses_login(&self) -> bool {
        match self {
            Self::Kafka { source, .. } => {
                matches!(source, cdc_kafka::Error::Unreachable { .. })
                    && source.disposition() == Disposition::Permanent
            }
            _ => false,
        }
    }

    /// Whether one event is at fault, and how; others may be sent then.
    pub(crate) fn poison(&self) -> Option<PoisonKind> {
        match self {
            Self::InvalidRow { .. } => Some(PoisonKind::InvalidRow),
            Self::TopicMissing { .. } => Some(PoisonKind::UnknownTopic),
            Self::TopicDenied { .. } => Some(PoisonKind::NotAuthorised),
            // Of one of its records. Which one librdkafka says in its log only.
            Self::Transaction { source } if denies_topic(source.error()) => {
                Some(PoisonKind::NotAuthorised)
            }
            Self::Refused { source, .. } => match source.disposition() {
                Disposition::Poison(PoisonReason::TooLarge) => Some(PoisonKind::TooLarge),
                Disposition::Poison(PoisonReason::NotAuthorised) => Some(PoisonKind::NotAuthorised),
                Disposition::Poison(PoisonReason::InvalidRecord) => Some(PoisonKind::InvalidRecord),
                // A cluster that has just started denies topics that it has: the next session looks again.
                Disposition::Poison(PoisonReason::UnknownTopic)
                | Disposition::Transient
                | Disposition::Rebuild
                | Disposition::Permanent => None,
            },
            _ => None,
        }
    }

    /// The one place that decides. What nobody knows is transient.
    pub(crate) fn next(&self) -> Next {
        match self {
            Self::Postgres { source, .. } => match source.disposition() {
                pg_replication::Disposition::Transient => Next::Reconnect,
                pg_replication::Disposition::Standby => Next::StandBy,
                pg_replication::Disposition::Permanent => Next::Stop,
            },
            // Whoever fenced us holds the slot, or wants it: the next session will see.
            Self::Transaction { source } if denies_topic(source.error()) => Next::Stop,
            Self::Transaction { source } => match source.error().disposition() {
                Disposition::Transient | Disposition::Rebuild | Disposition::Poison(_) => {
                    Next::Reconnect
                }
                Disposition::Permanent => Next::Stop,
            },
            Self::Kafka { source, .. } | Self::Refused { source, .. } => match source.disposition()
            {
                Disposition::Transient | Disposition::Rebuild => Next::Reconnect,
                // The next session looks for the topic again, and creates it or stops.
                Disposition::Poison(PoisonReason::UnknownTopic) => Next::Reconnect,
                Disposition::Poison(
                    PoisonReason::TooLarge
                    | PoisonReason::NotAuthorised
                    | PoisonReason::InvalidRecord,
                )
                | Disposition::Permanent => Next::Stop,
            },
            Self::Store { source } => match source.disposition() {
                pg_replication::Disposition::Transient | pg_replication::Disposition::Standby => {
                    Next::Reconnect
                }
                pg_replication::Disposition::Permanent => Next::Stop,
            },
            Self::Backfill { source } => match source.disposition() {
                pg_replication::Disposition::Transient | pg_replication::Disposition::Standby => {
                    Next::Reconnect
                }
                pg_replication::Disposition::Permanent => Next::Stop,
            },
            Self::BackfillEnded | Self::ProducerStalled | Self::UndescribedRelation { .. } => {
                Next::Reconnect
            }
            Self::InvalidRow { .. }
            | Self::Gap(_)
            | Self::TooManyToCompare { .. }
            | Self::SlotMissing { .. }
            | Self::SlotLost { .. }
            | Self::Checkpoint { .. }
            | Self::UnsuitableTable(_)
            | Self::InvalidSettings(_)
            | Self::OutboxRenamed { .. }
            | Self::TopicMissing { .. }
            | Self::TopicDenied { .. }
            | Self::CheckpointTopicMissing { .. }
            | Self::CheckpointTopicDenied { .. }
            | Self::OtherShards { .. }
            | Self::PublicationMissing { .. }
            | Self::PublicationIncomplete { .. } => Next::Stop,
        }
    }
}

fn denies_topic(error: &cdc_kafka::Error) -> bool {
    /// Kafka's number for a client without permission for a topic.
    const TOPIC_AUTHORIZATION_FAILED: i32 = 29;
    match error {
        cdc_kafka::Error::Topic { code, .. }
        | cdc_kafka::Error::Record { code, .. }
        | cdc_kafka::Error::Transaction { code, .. } => code.number() == TOPIC_AUTHORIZATION_FAILED,
        _ => false,
    }
}

impl std::fmt::Display for EventPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Log(position) => write!(f, "at {position}"),
            Self::Table(table) => write!(f, "that was read from table {table}"),
        }
    }
}
