//! From an error of a consumer to what the user is told. Whether it is tried again is decided by
//! [`recovery::Error::disposition`] and [`cdc_kafka::Error::disposition`] alone.

use recovery::Error;

use super::{Context, Failure};
use crate::config::Config;
use crate::error_code::ErrorCode;

/// Kafka's number for a static member whose place another one has taken.
const FENCED_INSTANCE_ID: i32 = 82;

impl Failure {
    /// What to tell about the end of a consumer.
    pub(crate) fn from_recovery(error: Error, config: &Config) -> Self {
        match error {
            Error::Settings(_) => Self::new(
                ErrorCode::InvalidValue,
                "a consumer group cannot be run as it is configured",
                "correct [notify] or [[recover.consumer]]; config/default.toml documents every key",
            )
            .caused_by(error),
            Error::MissingTopic { ref topic } => {
                let what = format!(
                    "the topic {topic:?} does not exist, and `kafka.topics.create` is false"
                );
                Self::new(
                    ErrorCode::TopicMissing,
                    what,
                    "create it with the partitions of its source topic",
                )
            }
            Error::MissingSource { ref topic } => {
                let what = format!("the topic {topic:?}, which is to be read, does not exist");
                Self::new(
                    ErrorCode::TopicMissing,
                    what,
                    "create it, or correct the list of topics",
                )
            }
            Error::Kafka(source) => Self::from_consumer(source, config),
            Error::Handler(stopped) => Self::new(
                ErrorCode::ConsumerStopped,
                format!(
                    "a record cannot be dealt with, and others could not either ({})",
                    stopped.origin
                ),
                "see the cause, remove it and start again: nothing of the record is committed",
            )
            .caused_by(*stopped),
            Error::Order(error) => Self::from_order(error, config),
            Error::Task(source) => Self::internal("a consumer ended in a panic").caused_by(source),
        }
    }

    /// What to tell about a consumer group.
    pub(crate) fn from_consumer(error: cdc_kafka::Error, config: &Config) -> Self {
        if let cdc_kafka::Error::Fatal { code, .. } = &error {
            let (what, remedy) = if code.number() == FENCED_INSTANCE_ID {
                (
                    "could not read from Kafka: another process has taken the place of this one in its consumer group, \
                     with the same `instance_id`",
                    "give each process an `instance_id` of its own, or none, and start this one again",
                )
            } else {
                (
                    "could not read from Kafka: the Kafka consumer has given up",
                    "start it again; it goes on where its group stands. If it happens often, look at the brokers' logs",
                )
            };
            return Self::new(ErrorCode::KafkaRefused, what, remedy).caused_by(error);
        }
        Self::from_kafka(error, Context::new(config, "read from Kafka"))
    }
}
