//! What can go wrong with redirect topics, and what to do about it.
#![deny(clippy::wildcard_enum_match_arm)]

use std::time::Duration;

use cdc_event::{KafkaPosition, OrderDisposition, OrderError};
use cdc_kafka::{Disposition, PoisonReason};

/// An error of this crate. [`disposition`](Self::disposition) says what to do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Kafka refused, or did not answer. Whether it was done is not known; it may be done again.
    #[error("could not {doing} the redirect topic {topic:?}")]
    Kafka {
        /// What was done: a verb.
        doing: &'static str,
        /// The redirect topic.
        topic: String,
        /// Why.
        source: cdc_kafka::Error,
    },
    /// Kafka took a record neither nor refused it for this long. Whether it will be there is not known; it may be done again.
    #[error("the redirect topic {topic:?} took nothing for {} s", limit.as_secs())]
    NotTaken {
        /// The redirect topic.
        topic: String,
        /// How long was waited.
        limit: Duration,
    },
    /// There is no redirect topic, and none may be created.
    #[error("the redirect topic {topic:?} does not exist, and may not be created")]
    Missing {
        /// The redirect topic.
        topic: String,
    },
    /// What waits would be deleted one day.
    #[error(
        "the redirect topic {topic:?} has cleanup.policy={policy}, and must have compact alone"
    )]
    NotCompacted {
        /// The redirect topic.
        topic: String,
        /// What is set.
        policy: String,
    },
    /// It is not the topic that records were written to: it has fewer partitions than it had.
    #[error(
        "the redirect topic {topic:?} has {partitions} partitions, and its records are spread over {used}"
    )]
    Shrunk {
        /// The redirect topic.
        topic: String,
        /// How many it has.
        partitions: i32,
        /// How many its records are spread over.
        used: i32,
    },
    /// Partitions were added, and then records of one source partition were written to two of them. Which came first is
    /// not known.
    #[error(
        "records of the redirect topic {topic:?}, which has {partitions} partitions, are where no number of partitions \
         up to that puts them"
    )]
    Scattered {
        /// The redirect topic.
        topic: String,
        /// How many it has.
        partitions: i32,
    },
    /// A record of the redirect topic that another version wrote, or somebody else.
    #[error(
        "the record {key:?} in partition {partition} of {topic:?} cannot be understood: {reason}"
    )]
    Unreadable {
        /// The redirect topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// The key of the record.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A record that waits is not where it was written: somebody deleted records.
    #[error("{0} waits, and is not in its redirect topic any more")]
    Lost(KafkaPosition),
    /// The partition was given to another consumer.
    #[error("{0} belongs to another consumer meanwhile")]
    Superseded(String),
    /// As many keys or records of the partition wait as were allowed.
    #[error("{partition} has {waiting} {what} that wait, which is as many as may be")]
    Full {
        /// Of which partition.
        partition: String,
        /// Keys or records.
        what: &'static str,
        /// How many.
        waiting: usize,
    },
    /// The record was read elsewhere.
    #[error("{record} is not of {partition}")]
    NotOfPartition {
        /// The record.
        record: KafkaPosition,
        /// What was assigned.
        partition: String,
    },
}

impl Error {
    /// What to do: the one place that decides it.
    #[must_use]
    pub fn disposition(&self) -> OrderDisposition {
        match self {
            Self::Kafka { source, .. } => match source.disposition() {
                // Whether the topic exists is found out when a partition is taken over; a broker that has just
                // started may not know it yet. A new writer is made by itself.
                Disposition::Transient
                | Disposition::Rebuild
                | Disposition::Poison(PoisonReason::UnknownTopic) => OrderDisposition::Transient,
                Disposition::Permanent
                | Disposition::Poison(
                    PoisonReason::TooLarge
                    | PoisonReason::NotAuthorised
                    | PoisonReason::InvalidRecord,
                ) => OrderDisposition::Permanent,
            },
            Self::NotTaken { .. } | Self::Full { .. } => OrderDisposition::Transient,
            Self::Superseded(_) => OrderDisposition::Superseded,
            Self::Missing { .. }
            | Self::NotCompacted { .. }
            | Self::Shrunk { .. }
            | Self::Scattered { .. }
            | Self::Unreadable { .. }
            | Self::Lost(_)
            | Self::NotOfPartition { .. } => OrderDisposition::Permanent,
        }
    }

    /// For `map_err`: `doing` completes the sentence "could not … the redirect topic".
    pub(crate) fn while_(
        doing: &'static str,
        topic: &str,
    ) -> impl Fn(cdc_kafka::Error) -> Self + use<> {
        let topic = topic.to_owned();
        move |source| Self::Kafka {
            doing,
            topic: topic.clone(),
            source,
        }
    }
}

impl From<Error> for OrderError {
    fn from(error: Error) -> Self {
        Self {
            disposition: error.disposition(),
            source: Box::new(error),
        }
    }
}
