//! Why a runner ended.

use cdc_event::{DrainError, HandlerError, KafkaPosition, OrderDisposition, OrderError};

use crate::settings::InvalidSettings;

/// Why a runner cannot start or go on; [`disposition`](Self::disposition) says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings.
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    /// A topic that is needed does not exist and may not be created.
    #[error("the topic {topic:?} does not exist, and creating topics is turned off")]
    MissingTopic {
        /// The topic.
        topic: String,
    },
    /// A source topic does not exist.
    #[error("the source topic {topic:?} does not exist")]
    MissingSource {
        /// The topic.
        topic: String,
    },
    /// Kafka refuses what is needed.
    #[error("Kafka refuses what the runner needs")]
    Kafka(#[source] cdc_kafka::Error),
    /// The handler cannot go on.
    #[error(transparent)]
    Handler(Box<HandlerStopped>),
    /// The records that wait for one of their key cannot be kept in order.
    #[error(transparent)]
    Order(OrderError),
    /// A task of the runner panicked, or was stopped from outside.
    #[error("a task of the runner ended by itself")]
    Task(#[source] tokio::task::JoinError),
}

/// The handler said that it cannot go on, or a policy that this code stops the runner. The record is not committed.
#[derive(Debug, thiserror::Error)]
#[error("the handler cannot go on at {origin}")]
pub struct HandlerStopped {
    /// The record.
    pub origin: KafkaPosition,
    /// What the handler said.
    #[source]
    pub error: HandlerError,
}

/// What to do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// May pass by itself: start again after a delay.
    Transient,
    /// A person has to change something first.
    Permanent,
    /// A mistake in this program.
    Bug,
}

impl Error {
    /// What to do about it. What is not known is [`Disposition::Transient`].
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Settings(_) | Self::MissingTopic { .. } | Self::Handler(_) => {
                Disposition::Permanent
            }
            Self::MissingSource { .. } => Disposition::Transient,
            Self::Order(error) => match error.disposition {
                OrderDisposition::Permanent => Disposition::Permanent,
                OrderDisposition::Transient | OrderDisposition::Superseded => {
                    Disposition::Transient
                }
            },
            Self::Kafka(error) => of_kafka(error),
            Self::Task(_) => Disposition::Bug,
        }
    }
}

impl From<DrainError> for Error {
    fn from(error: DrainError) -> Self {
        match error {
            DrainError::Order(error) => Self::Order(error),
            DrainError::Handler { origin, error } => {
                Self::Handler(Box::new(HandlerStopped { origin, error }))
            }
        }
    }
}

fn of_kafka(error: &cdc_kafka::Error) -> Disposition {
    match error.disposition() {
        cdc_kafka::Disposition::Permanent | cdc_kafka::Disposition::Poison(_) => {
            Disposition::Permanent
        }
        cdc_kafka::Disposition::Transient | cdc_kafka::Disposition::Rebuild => {
            Disposition::Transient
        }
    }
}
