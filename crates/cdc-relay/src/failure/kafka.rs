//! From an error of the Kafka side to what the user is told. Whether it is tried again is decided by
//! [`cdc_kafka::Error::disposition`] alone.

use cdc_kafka::{Disposition, Error, KafkaCode, PoisonReason};

use super::{Context, Failure};
use crate::error_code::ErrorCode;

/// librdkafka's and Kafka's numbers for refused credentials: `_AUTHENTICATION`, then the SASL errors.
const REFUSED_CREDENTIALS: [i32; 4] = [-169, 33, 34, 58];
/// Kafka's numbers for a topic that does not exist: librdkafka's own, and the broker's.
const NO_SUCH_TOPIC: [i32; 2] = [-188, 3];
/// Kafka's numbers for a client without permission: for the topic, and for the cluster.
const NOT_AUTHORISED: [i32; 2] = [29, 31];
/// Kafka's numbers for a client without permission: for the topic, the group, and for the cluster.
const NOT_AUTHORISED_FOR_GROUP: [i32; 3] = [29, 30, 31];

impl Failure {
    /// What to tell about `error`. Every kind of error has its code, cause and remedy here.
    pub(crate) fn from_kafka(error: Error, context: Context<'_>) -> Self {
        let (code, what, remedy) = explain(&error, context);
        Self::new(code, what, remedy).caused_by(error)
    }
}

/// Code, what happened, remedy.
type Told = (ErrorCode, String, String);

fn explain(error: &Error, context: Context<'_>) -> Told {
    let doing = context.doing;
    let brokers = &context.config.kafka.brokers;
    match error {
        Error::RefusedProperty { .. } | Error::InvalidProperty { .. } | Error::ClientCreation { .. } => (
            ErrorCode::KafkaProperty,
            "the Kafka properties in [kafka.client], [kafka.producer] or [kafka.consumer] cannot be used".to_owned(),
            "correct or remove the property; librdkafka's CONFIGURATION.md lists them all".to_owned(),
        ),
        Error::Thread(_) | Error::Abandoned => {
            (ErrorCode::Internal, format!("could not {doing}"), "see the cause, and try again".to_owned())
        }
        Error::InvalidConsumer { .. } => (
            ErrorCode::InvalidValue,
            format!("could not {doing}: a consumer group cannot be run as it is configured"),
            "correct [notify], [[recover.consumer]] or [kafka.consumer]".to_owned(),
        ),
        Error::InvalidRecord { topic, .. } => row_invalid(topic, doing),
        Error::Cancelled | Error::OutOfTurn { .. } => {
            (ErrorCode::Internal, format!("could not {doing}"), "see the cause, and try again".to_owned())
        }
        Error::Transaction { code, .. } if NOT_AUTHORISED.contains(&code.number()) => (
            ErrorCode::TopicNotAuthorised,
            format!("could not {doing}: Kafka does not let this client write to a topic of the transaction"),
            "see the log for the topic's name; allow the client's principal to write to it, and to use the \
             transactional ids that begin with `cdc-relay/`"
                .to_owned(),
        ),
        Error::Transaction { .. } => (
            ErrorCode::KafkaRefused,
            format!("could not {doing}: the Kafka transaction failed"),
            "the relay sends it again from the last checkpoint; if it happens often, look at the brokers' logs"
                .to_owned(),
        ),
        Error::Fatal { .. } => (
            ErrorCode::KafkaRefused,
            format!("could not {doing}: the Kafka producer lost its place in the order of records"),
            "the relay makes a new producer and sends again from the last confirmed commit; if it happens often, \
             look at the brokers' logs"
                .to_owned(),
        ),
        Error::Broker { code, .. } | Error::Unreachable { code, .. } => of_cluster(*code, brokers, doing),
        Error::Consume { group, code, .. } | Error::Outlived { group, code } => of_group(*code, group, context),
        Error::BrokersForgotten => unreachable(brokers, doing),
        Error::Topic { topic, code, .. } => of_topic(*code, topic, context),
        Error::Record { topic, code } => match error.disposition() {
            Disposition::Poison(PoisonReason::TooLarge) => too_large(topic),
            Disposition::Poison(PoisonReason::InvalidRecord) => row_invalid(topic, doing),
            Disposition::Poison(PoisonReason::UnknownTopic | PoisonReason::NotAuthorised)
            | Disposition::Transient
            | Disposition::Rebuild
            | Disposition::Permanent => of_topic(*code, topic, context),
        },
    }
}

fn of_cluster(code: KafkaCode, brokers: &str, doing: &str) -> Told {
    if REFUSED_CREDENTIALS.contains(&code.number()) {
        return (
            ErrorCode::KafkaAuthentication,
            format!("could not {doing}: Kafka at {brokers} refuses the credentials"),
            "check security.protocol, sasl.mechanism, sasl.username and sasl.password in [kafka.client]".to_owned(),
        );
    }
    unreachable(brokers, doing)
}

fn unreachable(brokers: &str, doing: &str) -> Told {
    (
        ErrorCode::KafkaUnreachable,
        format!("could not {doing}: Kafka at {brokers} cannot be reached"),
        "check `kafka.brokers`, that the brokers run, that security.protocol fits the port, and that the addresses \
         which the brokers advertise can be reached from here (advertised.listeners)"
            .to_owned(),
    )
}

fn of_group(code: KafkaCode, group: &str, context: Context<'_>) -> Told {
    let doing = context.doing;
    if REFUSED_CREDENTIALS.contains(&code.number()) {
        return of_cluster(code, &context.config.kafka.brokers, doing);
    }
    if NOT_AUTHORISED_FOR_GROUP.contains(&code.number()) {
        return (
            ErrorCode::TopicNotAuthorised,
            format!("could not {doing}: Kafka does not let this client use the consumer group {group:?}"),
            "allow its principal to read the group and its topics (kafka-acls --consumer --group NAME --topic NAME)"
                .to_owned(),
        );
    }
    (
        ErrorCode::KafkaRefused,
        format!("could not {doing}: there is trouble with the consumer group {group:?}"),
        "see the cause; two processes must not have the same `instance_id`".to_owned(),
    )
}

fn of_topic(code: KafkaCode, topic: &str, context: Context<'_>) -> Told {
    let doing = context.doing;
    let number = code.number();
    if NOT_AUTHORISED.contains(&number) {
        return (
            ErrorCode::TopicNotAuthorised,
            format!("could not {doing}: Kafka does not let this client use the topic {topic:?}"),
            "allow its principal to describe and write the topic, and to create it if it does not exist \
             (kafka-acls --producer --topic NAME)"
                .to_owned(),
        );
    }
    if NO_SUCH_TOPIC.contains(&number) {
        let remedy = if context.config.kafka.topics.create {
            "it was deleted while in use, or the cluster is still starting; the relay creates it at its next start"
        } else {
            "create it, or set `kafka.topics.create = true`"
        };
        return (
            ErrorCode::TopicMissing,
            format!("could not {doing}: the topic {topic:?} does not exist"),
            remedy.to_owned(),
        );
    }
    if REFUSED_CREDENTIALS.contains(&number) {
        return of_cluster(code, &context.config.kafka.brokers, doing);
    }
    (
        ErrorCode::KafkaRefused,
        format!("could not {doing}: Kafka refuses for topic {topic:?}"),
        "see the cause; [kafka.topics] sets partitions and replicas of new topics, which the cluster must be able \
         to hold"
            .to_owned(),
    )
}

fn too_large(topic: &str) -> Told {
    (
        ErrorCode::RecordTooLarge,
        format!("an event for topic {topic:?} is larger than Kafka takes"),
        "raise max.message.bytes of the topic, message.max.bytes of the brokers and `\"message.max.bytes\"` in \
         [kafka.producer]; keep payloads small and refer to large data"
            .to_owned(),
    )
}

fn row_invalid(topic: &str, doing: &str) -> Told {
    (
        ErrorCode::OutboxRowInvalid,
        format!("could not {doing}: Kafka cannot represent an event for topic {topic:?}"),
        "see the cause; topic, key and headers come from the row".to_owned(),
    )
}
