//! From the end of a relay's session to what the user is told.

use super::{Context, Failure};
use crate::config::Config;
use crate::error_code::ErrorCode;
use crate::relay::RelayError;

impl Failure {
    /// What to tell about the end of a session. Whether it is tried again is decided by
    /// [`RelayError::next`] alone.
    pub(crate) fn from_relay(error: RelayError, config: &Config) -> Self {
        let publication = config.relay.publication.as_str();
        let (code, remedy) = match error {
            RelayError::Postgres { doing, source } => {
                return Self::from_postgres(source, Context::new(config, doing));
            }
            RelayError::Kafka { doing, source } => {
                return Self::from_kafka(source, Context::new(config, doing));
            }
            RelayError::Refused { source } => {
                return Self::from_kafka(source, Context::new(config, "send an event"));
            }
            RelayError::InvalidRow { .. } => (
                ErrorCode::OutboxRowInvalid,
                "nothing after this event is sent until it is dealt with, so that none is lost. Correct the \
                 [outbox] configuration if it is that; see the page for how to skip one event"
                    .to_owned(),
            ),
            RelayError::MissingColumn(_) => (
                ErrorCode::OutboxColumnMissing,
                "correct the column names in section [outbox], or the publication's column list".to_owned(),
            ),
            RelayError::OutboxRenamed { .. } => (
                ErrorCode::OutboxTableMissing,
                "put the new name into `outbox.tables`, or give the table its old one. Nothing that was written to it \
                 is lost"
                    .to_owned(),
            ),
            RelayError::PublicationMissing { .. } => (
                ErrorCode::PublicationMissing,
                "run `cdc-relay init`, or correct `relay.publication`. If the slot is there already, it was \
                 made without the publication: drop it first (SELECT pg_drop_replication_slot(…))"
                    .to_owned(),
            ),
            RelayError::PublicationIncomplete { .. } => (
                ErrorCode::PublicationIncomplete,
                format!(
                    "run `cdc-relay init`, or as the table's owner ALTER PUBLICATION {publication:?} ADD TABLE … \
                     and SET (publish = 'insert')"
                ),
            ),
            RelayError::TopicMissing { .. } => (
                ErrorCode::TopicMissing,
                "create the topic, or set `kafka.topics.create = true`".to_owned(),
            ),
            RelayError::ProducerStalled => (
                ErrorCode::KafkaRefused,
                "nothing: a new producer is made, and sends again from the last confirmed commit. If it comes \
                 often, look at the brokers' logs for leaders that change"
                    .to_owned(),
            ),
            RelayError::UndescribedRelation { .. } => return Self::internal(error.to_string()),
        };
        let failure = Self::new(code, error.to_string(), remedy);
        match error {
            RelayError::InvalidRow { reason, .. } => failure.caused_by(reason),
            _ => failure,
        }
    }
}
