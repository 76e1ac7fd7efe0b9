//! What can go wrong, and what to do about it.
#![deny(clippy::wildcard_enum_match_arm)]

use std::time::Duration;

use crate::alert::Cause;
use crate::event::InvalidEvent;

/// A producer that cannot be started as its settings are.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings of the outbox contradict each other.
    #[error("the settings of the outbox cannot be used")]
    Settings(#[source] cdc_outbox::InvalidSettings),
    /// The settings of the outbox do not fit the table `cdc.outbox`.
    #[error("the settings of the outbox do not fit the table cdc.outbox")]
    Table(#[source] cdc_outbox::UnsuitableTable),
    /// No slot says how far the relay has come.
    #[error("no replication slot of a relay is named")]
    NoSlot,
    /// A property of Kafka's client.
    #[error("no Kafka client can be made")]
    Kafka(#[source] cdc_kafka::Error),
}

/// An event that neither Kafka nor the outbox has for certain.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// It can't be sent at all. Nothing was done.
    #[error("the event cannot be sent")]
    Invalid(#[source] InvalidEvent),
    /// Kafka refuses it for good: it is too large for the topic, or this client may not write to it. It is not in the
    /// outbox either, since the relay would be refused just the same.
    #[error("Kafka refuses the event")]
    Refused(#[source] cdc_kafka::Error),
    /// There was no room in the buffer for this long. Nothing was done.
    #[error(
        "no room for the event within {waited:?}: Kafka and the outbox are both slower than events come"
    )]
    Busy {
        /// How long it waited.
        waited: Duration,
    },
    /// It could not be stored, at a time when it could not be sent either. It may arrive all the same.
    #[error("the event could not be stored in the outbox, which takes events because {cause}")]
    NotStored {
        /// Why it was to be stored.
        cause: Cause,
        /// Why it was not.
        source: StoreError,
    },
    /// The producer was closed. An event that had been accepted may arrive all the same.
    #[error("the producer is closed")]
    Closed,
}

/// The outbox did not take events, or did not tell how far they are delivered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// PostgreSQL refused, or the connection to it broke.
    #[error("could not {doing}")]
    Postgres {
        /// What was done.
        doing: &'static str,
        /// Why.
        source: std::sync::Arc<pg_replication::Error>,
    },
    /// PostgreSQL did not answer in time; whether it was done is unknown.
    #[error("could not {doing} within {limit:?}")]
    TimedOut {
        /// What was done.
        doing: &'static str,
        /// The time it had.
        limit: Duration,
    },
    /// An answer of another form than expected.
    #[error("the answer to \"{doing}\" has another form than expected")]
    Unreadable {
        /// What was done.
        doing: &'static str,
    },
    /// The slots that say how far the relay has come are not there.
    #[error("there is no replication slot {missing}: `cdc-relay init` makes it")]
    NoSlot {
        /// Their names.
        missing: String,
    },
}

/// What to do about a [`SendError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// It may pass: send the event again, with the same id.
    Transient,
    /// This event will never be taken.
    Poison,
}

impl SendError {
    /// What to do: the one place that decides it.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Invalid(_) | Self::Refused(_) => Disposition::Poison,
            Self::NotStored { source, .. } if source.is_about_the_event() => Disposition::Poison,
            Self::Busy { .. } | Self::NotStored { .. } | Self::Closed => Disposition::Transient,
        }
    }
}

impl StoreError {
    /// Whether the values of an event were refused (SQLSTATE classes 22 and 23), not PostgreSQL's state.
    pub(crate) fn is_about_the_event(&self) -> bool {
        match self {
            Self::Postgres { source, .. } => source
                .sql_state()
                .is_some_and(|state| state.is_class("22") || state.is_class("23")),
            Self::TimedOut { .. } | Self::Unreadable { .. } | Self::NoSlot { .. } => false,
        }
    }

    /// Whether to try again within the time that there is.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Postgres { source, .. } => {
                !self.is_about_the_event()
                    && source.disposition() == pg_replication::Disposition::Transient
            }
            Self::TimedOut { .. } => true,
            Self::Unreadable { .. } | Self::NoSlot { .. } => false,
        }
    }
}
