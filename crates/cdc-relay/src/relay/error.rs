//! Why a session of the relay ended, and the one decision of what follows.

use cdc_event::Position;
use cdc_kafka::{Disposition, PoisonReason};
use pg_replication::pgoutput::RelationId;

use super::layout::MissingColumn;
use super::row::InvalidRow;

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
    },
    /// A row or message that does not fit the outbox contract.
    #[error("the event at {} is not valid", At(*position))]
    InvalidRow {
        /// Where in the write-ahead log; `None` for a message from outside of any transaction.
        position: Option<Position>,
        /// Why.
        #[source]
        reason: InvalidRow,
    },
    /// The outbox table changed, or never fitted.
    #[error(transparent)]
    MissingColumn(#[from] MissingColumn),
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
    /// A topic does not exist and is not to be created.
    #[error("the topic {topic:?} does not exist, and `kafka.topics.create` is false")]
    TopicMissing {
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

impl RelayError {
    /// The one place that decides. What nobody knows is transient.
    pub(crate) fn next(&self) -> Next {
        match self {
            Self::Postgres { source, .. } => match source.disposition() {
                pg_replication::Disposition::Transient => Next::Reconnect,
                pg_replication::Disposition::Standby => Next::StandBy,
                pg_replication::Disposition::Permanent => Next::Stop,
            },
            Self::Kafka { source, .. } | Self::Refused { source } => match source.disposition() {
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
            Self::ProducerStalled | Self::UndescribedRelation { .. } => Next::Reconnect,
            Self::InvalidRow { .. }
            | Self::MissingColumn(_)
            | Self::OutboxRenamed { .. }
            | Self::TopicMissing { .. }
            | Self::PublicationMissing { .. }
            | Self::PublicationIncomplete { .. } => Next::Stop,
        }
    }
}

struct At(Option<Position>);

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(position) => write!(f, "{position}"),
            None => f.write_str("a message outside of any transaction"),
        }
    }
}
