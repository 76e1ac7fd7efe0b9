//! What a failure means: the one place that decides.

use rdkafka::types::RDKafkaErrorCode as Code;

use super::Error;
use crate::code::KafkaCode;

/// What to do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// May pass by itself: try again after a delay.
    ///
    /// Of a [`Delivery`](crate::Delivery): later records may have been delivered already, so
    /// trying again means a new producer and sending again from the watermark, as for
    /// [`Rebuild`](Self::Rebuild), after the delay.
    Transient,
    /// This record will never be delivered; others may be.
    Poison(PoisonReason),
    /// The client is of no more use: make a new one. A producer sends again from the watermark.
    Rebuild,
    /// Nothing will be delivered until a person changes the configuration or the permissions.
    Permanent,
}

/// Why a record will never be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PoisonReason {
    /// Larger than the client (`message.max.bytes`) or the topic (`max.message.bytes`) takes.
    TooLarge,
    /// The topic does not exist.
    ///
    /// A cluster that has just started may say so of a topic that does exist: ask
    /// [`Topics::describe`](crate::Topics::describe) before acting on it.
    UnknownTopic,
    /// This client may not write to the topic.
    NotAuthorised,
    /// Breaks a rule of Kafka or of the topic: name, partition, timestamp, header, policy.
    InvalidRecord,
}

impl Error {
    /// What to do about this failure. What is not known is [`Disposition::Transient`].
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::RefusedProperty { .. }
            | Self::InvalidProperty { .. }
            | Self::ClientCreation { .. }
            | Self::InvalidConsumer { .. } => Disposition::Permanent,
            Self::Thread(_) | Self::Abandoned | Self::Cancelled => Disposition::Transient,
            // The state of the producer is not what its owner believes: begin anew.
            Self::OutOfTurn { .. } => Disposition::Rebuild,
            Self::BrokersForgotten | Self::Outlived { .. } => Disposition::Rebuild,
            Self::InvalidRecord { .. } => Disposition::Poison(PoisonReason::InvalidRecord),
            // A producer id may be refused for good; any other fatal state ends with the producer.
            // A transaction is none of its records: what is wrong with one of them is told by its delivery.
            Self::Fatal { code, .. } | Self::Transaction { code, .. } => match of_code(*code) {
                Disposition::Permanent => Disposition::Permanent,
                Disposition::Transient | Disposition::Poison(_) | Disposition::Rebuild => {
                    Disposition::Rebuild
                }
            },
            Self::Record { code, .. } => of_code(*code),
            Self::Consume { code, .. } => match of_code(*code) {
                // It may be created yet, and one that was deleted leaves the assignment by itself.
                Disposition::Poison(PoisonReason::UnknownTopic) | Disposition::Rebuild => {
                    Disposition::Transient
                }
                Disposition::Poison(_) => Disposition::Permanent,
                kept @ (Disposition::Transient | Disposition::Permanent) => kept,
            },
            Self::Broker { code, .. }
            | Self::Unreachable { code, .. }
            | Self::Topic { code, .. } => {
                match of_code(*code) {
                    // What poisons a record is, about a cluster or a topic, a refusal for good.
                    Disposition::Poison(_) => Disposition::Permanent,
                    Disposition::Rebuild => Disposition::Transient,
                    kept @ (Disposition::Transient | Disposition::Permanent) => kept,
                }
            }
        }
    }
}

fn of_code(code: KafkaCode) -> Disposition {
    use Disposition::{Permanent, Poison, Rebuild, Transient};
    match code.get() {
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidMessageSize => {
            Poison(PoisonReason::TooLarge)
        }
        Code::UnknownTopic | Code::UnknownTopicOrPartition => Poison(PoisonReason::UnknownTopic),
        Code::TopicAuthorizationFailed => Poison(PoisonReason::NotAuthorised),
        Code::InvalidArgument
        | Code::UnknownPartition
        | Code::InvalidTopic
        | Code::InvalidTimestamp
        | Code::InvalidRecord
        | Code::PolicyViolation => Poison(PoisonReason::InvalidRecord),

        // Fatal states of the idempotent producer, and records that lost their place in the order.
        Code::Fatal
        | Code::GaplessGuarantee
        | Code::OutOfOrderSequenceNumber
        | Code::UnknownProducerId
        | Code::InvalidProducerEpoch
        | Code::InvalidProducerIdMapping
        | Code::ProducerFenced
        | Code::Fenced
        | Code::MessageTimedOut
        | Code::PurgeQueue
        | Code::PurgeInflight
        | Code::InvalidDifferentRecord => Rebuild,

        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::InvalidTransactionTimeout
        | Code::GroupAuthorizationFailed
        // Another process has the same instance id: to go on would only drive that one out. `Outlived` is what it means
        // otherwise.
        | Code::FencedInstanceId
        | Code::SecurityDisabled
        | Code::UnsupportedVersion
        | Code::UnsupportedFeature
        | Code::UnsupportedForMessageFormat
        | Code::UnsupportedCompressionType
        | Code::InvalidRequiredAcks
        | Code::InvalidPartitions
        | Code::InvalidReplicationFactor
        | Code::InvalidReplicaAssignment
        | Code::InvalidConfig => Permanent,

        // The list of codes is long and grows with Kafka. SSL is here on purpose: librdkafka
        // says the same of a wrong certificate and of a broker that restarts in a handshake.
        _ => Transient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_record(code: Code) -> Disposition {
        Error::Record {
            topic: "t".into(),
            code: KafkaCode::new(code),
        }
        .disposition()
    }

    fn of_topic(code: Code) -> Disposition {
        Error::Topic {
            action: "create",
            topic: "t".into(),
            code: KafkaCode::new(code),
        }
        .disposition()
    }

    #[test]
    fn unknown_codes_are_transient() {
        for code in [
            Code::Unknown,
            Code::Fail,
            Code::NotEnoughReplicas,
            Code::SSL,
            Code::Resolve,
        ] {
            assert_eq!(of_record(code), Disposition::Transient, "{code:?}");
        }
    }

    #[test]
    fn a_record_that_will_never_pass_is_poison() {
        use PoisonReason::{InvalidRecord, NotAuthorised, TooLarge, UnknownTopic};
        for (code, reason) in [
            (Code::MessageSizeTooLarge, TooLarge),
            (Code::UnknownTopic, UnknownTopic),
            (Code::TopicAuthorizationFailed, NotAuthorised),
            (Code::UnknownPartition, InvalidRecord),
        ] {
            assert_eq!(of_record(code), Disposition::Poison(reason), "{code:?}");
        }
    }

    #[test]
    fn what_breaks_the_order_needs_a_new_producer() {
        for code in [
            Code::Fatal,
            Code::OutOfOrderSequenceNumber,
            Code::MessageTimedOut,
        ] {
            assert_eq!(of_record(code), Disposition::Rebuild, "{code:?}");
        }
    }

    #[test]
    fn a_fatal_error_needs_a_new_producer_unless_that_is_refused_too() {
        let of_fatal = |code| {
            Error::Fatal {
                detail: String::new(),
                code: KafkaCode::new(code),
            }
            .disposition()
        };
        for code in [
            Code::OutOfOrderSequenceNumber,
            Code::Unknown,
            Code::InvalidRecord,
        ] {
            assert_eq!(of_fatal(code), Disposition::Rebuild, "{code:?}");
        }
        assert_eq!(
            of_fatal(Code::ClusterAuthorizationFailed),
            Disposition::Permanent
        );
    }

    #[test]
    fn a_consumer_waits_for_a_topic_but_not_for_a_permission() {
        let of_consumer = |code| {
            Error::Consume {
                group: "g".into(),
                detail: String::new(),
                code: KafkaCode::new(code),
            }
            .disposition()
        };
        for code in [
            Code::UnknownTopicOrPartition,
            Code::RebalanceInProgress,
            Code::BrokerTransportFailure,
        ] {
            assert_eq!(of_consumer(code), Disposition::Transient, "{code:?}");
        }
        for code in [
            Code::TopicAuthorizationFailed,
            Code::GroupAuthorizationFailed,
            Code::Authentication,
        ] {
            assert_eq!(of_consumer(code), Disposition::Permanent, "{code:?}");
        }
    }

    #[test]
    fn a_refused_topic_is_permanent_and_a_busy_cluster_is_not() {
        assert_eq!(
            of_topic(Code::TopicAuthorizationFailed),
            Disposition::Permanent
        );
        assert_eq!(
            of_topic(Code::InvalidReplicationFactor),
            Disposition::Permanent
        );
        assert_eq!(of_topic(Code::OperationTimedOut), Disposition::Transient);
    }
}
