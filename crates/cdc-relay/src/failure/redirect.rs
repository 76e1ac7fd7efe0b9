//! From an error of a redirect topic to what the user is told. Whether it is tried again is decided by
//! [`redirect_topic::Error::disposition`] alone.

use redirect_topic::Error;

use super::{Context, Failure};
use crate::config::Config;
use crate::error_code::ErrorCode;

impl Failure {
    /// What to tell about `error`.
    pub(crate) fn from_redirect(error: Error, config: &Config) -> Self {
        match error {
            Error::Kafka { source, .. } => {
                let context = Context::new(config, "keep records in a redirect topic");
                Self::from_kafka(source, context)
            }
            Error::NotTaken { .. } => Self::new(
                ErrorCode::KafkaUnreachable,
                "Kafka did not take a record for a redirect topic in time",
                "see that the brokers are there, then do it again: it may have been done, and doing it twice does no harm",
            )
            .caused_by(error),
            Error::Missing { ref topic } => {
                let what = format!(
                    "the redirect topic {topic:?} does not exist, and `kafka.topics.create` is false"
                );
                let remedy =
                    "create it with cleanup.policy=compact and the partitions of its source topic";
                Self::new(ErrorCode::TopicMissing, what, remedy).caused_by(error)
            }
            Error::NotCompacted {
                ref topic,
                ref policy,
            } => {
                let what = format!(
                    "the redirect topic {topic:?} has cleanup.policy={policy}: what waits in it would be deleted one day"
                );
                let remedy = format!(
                    "kafka-configs.sh --alter --topic {topic} --add-config cleanup.policy=compact"
                );
                Self::new(ErrorCode::KafkaRefused, what, remedy).caused_by(error)
            }
            Error::Shrunk {
                ref topic,
                partitions,
                used,
            } => {
                let what = format!(
                    "the redirect topic {topic:?} has {partitions} partitions, and its records are spread over {used}: it \
                     was made anew"
                );
                let remedy = format!("kafka-topics.sh --alter --topic {topic} --partitions {used}");
                Self::new(ErrorCode::ConsumerStopped, what, remedy).caused_by(error)
            }
            Error::Scattered {
                ref topic,
                partitions,
            } => {
                let what = format!(
                    "partitions were added to the redirect topic {topic:?} while records waited in it, and now that it has \
                     {partitions}, records of one partition wait in two"
                );
                let remedy = "deal by hand with what waits there (kafka-console-consumer.sh shows it), delete the topic, and \
                              start again";
                Self::new(ErrorCode::ConsumerStopped, what, remedy).caused_by(error)
            }
            Error::Unreadable { .. } => Self::new(
                ErrorCode::ConsumerStopped,
                "a redirect topic has a record that this version cannot read",
                "run the version that wrote it, or remove what somebody else wrote there",
            )
            .caused_by(error),
            Error::Lost(_) => Self::new(
                ErrorCode::ConsumerStopped,
                "a record that waits in a redirect topic is gone",
                "see who deletes records there; start again to go on with what is left",
            )
            .caused_by(error),
            Error::Superseded(_) | Error::Full { .. } | Error::NotOfPartition { .. } => {
                Self::internal("a redirect topic was used in the wrong way").caused_by(error)
            }
        }
    }
}
