//! What can go wrong, with librdkafka's code and the context to act on it.

mod disposition;

use std::io;
use std::sync::Arc;

pub use disposition::{Disposition, PoisonReason};
use rdkafka::types::RDKafkaErrorCode;

use crate::code::KafkaCode;

/// A failure of this crate; [`disposition`](Self::disposition) says what to do about it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A property that the pipeline sets itself, because another value would break what it
    /// promises.
    #[error("the Kafka property {key:?} cannot be set: {reason}")]
    RefusedProperty {
        /// The property.
        key: String,
        /// Why, and what to do instead.
        reason: &'static str,
    },

    /// librdkafka does not know a property or does not take its value.
    #[error("the Kafka property {key:?} is not accepted: {detail}")]
    InvalidProperty {
        /// The property.
        key: String,
        /// librdkafka's words; without the value where that is a secret.
        detail: String,
    },

    /// librdkafka cannot make a client of the properties together, for example because a
    /// certificate file cannot be read.
    #[error("no Kafka client can be made of the configuration: {detail}")]
    ClientCreation {
        /// librdkafka's words.
        detail: String,
    },

    /// A consumer was asked for that cannot be.
    #[error("the consumer of group {group:?} cannot be started: {reason}")]
    InvalidConsumer {
        /// The group.
        group: String,
        /// What is wrong with its settings.
        reason: &'static str,
    },

    /// The thread that serves a client cannot be started.
    #[error("the thread that serves a Kafka client cannot be started")]
    Thread(#[source] Arc<io::Error>),

    /// A record was not taken or not delivered.
    #[error("a record for topic {topic:?} was not delivered")]
    Record {
        /// The topic of the record.
        topic: Box<str>,
        /// librdkafka's reason.
        #[source]
        code: KafkaCode,
    },

    /// A record that Kafka cannot represent.
    #[error("a record for topic {topic:?} cannot be sent: {reason}")]
    InvalidRecord {
        /// The topic of the record.
        topic: Box<str>,
        /// Which rule it breaks.
        reason: &'static str,
    },

    /// The producer or consumer is in a state that it cannot leave; it takes no more records, or has none.
    #[error("the Kafka client cannot go on: {detail}")]
    Fatal {
        /// librdkafka's words.
        detail: String,
        /// librdkafka's code of the first fatal error.
        #[source]
        code: KafkaCode,
    },

    /// Kafka or librdkafka refused a step of a transaction.
    #[error("the transaction failed when asked to {action}: {detail}")]
    Transaction {
        /// Which step.
        action: &'static str,
        /// librdkafka's words.
        detail: String,
        /// librdkafka's code.
        #[source]
        code: KafkaCode,
    },

    /// A step of a transaction was asked for out of turn.
    #[error("cannot {action} a transaction: {state}")]
    OutOfTurn {
        /// Which step.
        action: &'static str,
        /// Why not now.
        state: &'static str,
    },

    /// A client reported trouble with a broker; it goes on trying by itself.
    #[error("trouble with a Kafka broker: {detail}")]
    Broker {
        /// librdkafka's words, with the broker's address.
        detail: String,
        /// librdkafka's code.
        #[source]
        code: KafkaCode,
    },

    /// Something does not work for a member of a group; it goes on trying by itself.
    #[error("trouble in the consumer group {group:?}: {detail}")]
    Consume {
        /// The group.
        group: Box<str>,
        /// What does not work, partly in librdkafka's words.
        detail: String,
        /// librdkafka's code.
        #[source]
        code: KafkaCode,
    },

    /// A client knows no broker any more, and will find none: the cluster said for a moment that it has none.
    #[error("the client has forgotten every Kafka broker")]
    BrokersForgotten,

    /// A static member was taken for its own predecessor: its session had ended, and it had joined anew.
    #[error(
        "a static member of the consumer group {group:?} was fenced by itself: its session had ended meanwhile"
    )]
    Outlived {
        /// The group.
        group: Box<str>,
        /// librdkafka's code.
        #[source]
        code: KafkaCode,
    },

    /// The cluster gave no answer in time.
    #[error(
        "no answer from Kafka at {brokers} when asked to {action}{}; check that the addresses are \
         right, that the brokers run, and that the addresses that they advertise are reachable \
         from here", detail.as_ref().map(|text| format!(" ({text})")).unwrap_or_default()
    )]
    Unreachable {
        /// What was asked.
        action: &'static str,
        /// The configured bootstrap addresses.
        brokers: String,
        /// The last trouble with a broker, in librdkafka's words.
        detail: Option<String>,
        /// librdkafka's code.
        #[source]
        code: KafkaCode,
    },

    /// The cluster refused to tell about or create a topic.
    #[error("Kafka refused to {action} topic {topic:?}")]
    Topic {
        /// What was asked.
        action: &'static str,
        /// The topic.
        topic: String,
        /// The broker's reason.
        #[source]
        code: KafkaCode,
    },

    /// A task of this crate was stopped from outside, as happens when the runtime shuts down.
    #[error("the call to Kafka was abandoned because the runtime is shutting down")]
    Abandoned,

    /// The caller did not want to know any more.
    #[error("reading from Kafka was cancelled")]
    Cancelled,
}

impl Error {
    /// librdkafka's code, where there is one.
    #[must_use]
    pub const fn code(&self) -> Option<KafkaCode> {
        match self {
            Self::Record { code, .. }
            | Self::Fatal { code, .. }
            | Self::Transaction { code, .. }
            | Self::Broker { code, .. }
            | Self::Consume { code, .. }
            | Self::Outlived { code, .. }
            | Self::Unreachable { code, .. }
            | Self::Topic { code, .. } => Some(*code),
            Self::RefusedProperty { .. }
            | Self::InvalidProperty { .. }
            | Self::ClientCreation { .. }
            | Self::InvalidConsumer { .. }
            | Self::Thread(_)
            | Self::InvalidRecord { .. }
            | Self::OutOfTurn { .. }
            | Self::BrokersForgotten
            | Self::Abandoned
            | Self::Cancelled => None,
        }
    }

    /// Whether a record was not delivered because its producer had ended or was told to give up, and so for no fault of
    /// its own.
    #[must_use]
    pub const fn is_given_up(&self) -> bool {
        use RDKafkaErrorCode::{Fatal, PurgeInflight, PurgeQueue};
        matches!(self, Self::Record { code, .. } if matches!(code.get(), PurgeQueue | PurgeInflight | Fatal))
    }

    /// Whether a record was not taken because the transaction that it was for had failed before: the commit says why.
    #[must_use]
    pub const fn is_failed_transaction(&self) -> bool {
        matches!(self, Self::Record { code, .. } if matches!(code.get(), RDKafkaErrorCode::State))
    }
}
