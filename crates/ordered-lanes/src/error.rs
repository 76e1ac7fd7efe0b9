//! What can go wrong with lanes, and what to do about it.
#![deny(clippy::wildcard_enum_match_arm)]

use cdc_event::KafkaPosition;

use crate::assignment::Assignment;

/// SQLSTATEs of a table, or a column of it, that does not exist.
const UNDEFINED: [&str; 2] = ["42P01", "42703"];

/// What to do after an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// It may go away by itself: wait and do the same again. Nothing may be passed over meanwhile.
    Transient,
    /// Another one has what this was about: let go of it, and leave what is unfinished to the other.
    Superseded,
    /// It stays until somebody changes something: stop and say so.
    Permanent,
}

/// An error of this crate. [`disposition`](Self::disposition) says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// PostgreSQL refused, or the connection to it broke. Whether the step was done is not known; it may be done again.
    #[error("could not {doing}")]
    Postgres {
        /// What was done.
        doing: &'static str,
        /// Why.
        source: pg_replication::Error,
    },
    /// The tables were never made, or not brought up to this version.
    #[error("the tables of ordered mode do not exist, or are of an older version")]
    NoTable(#[source] pg_replication::Error),
    /// Somebody changed the tables, or wrote into them by hand.
    #[error("column {column:?} of the lanes has a value of another form than expected")]
    Unreadable {
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The partition was given to another consumer of the group.
    #[error("{0} belongs to another consumer meanwhile")]
    Fenced(Assignment),
    /// The lease ended before the work did, and another worker has the lane, or nobody.
    #[error("the lease of a lane ended")]
    LeaseLost,
    /// As many keys of the partition are open as were allowed.
    #[error("{assignment} has {open} open keys, which is as many as may be")]
    Full {
        /// Of which partition.
        assignment: Assignment,
        /// How many keys are open.
        open: usize,
    },
    /// As many events of the key wait as were allowed.
    #[error("{record} has to wait behind {events} others of its key, which is as many as may be")]
    LaneFull {
        /// The record.
        record: KafkaPosition,
        /// How many may wait.
        events: u64,
    },
    /// The record was read elsewhere.
    #[error("{record} is not of {assignment}")]
    NotOfPartition {
        /// The record.
        record: KafkaPosition,
        /// What was assigned.
        assignment: Assignment,
    },
}

impl Error {
    /// What to do: the one place that decides it.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Postgres { source, .. } => match source.disposition() {
                pg_replication::Disposition::Permanent => Disposition::Permanent,
                pg_replication::Disposition::Transient | pg_replication::Disposition::Standby => {
                    Disposition::Transient
                }
            },
            Self::Full { .. } | Self::LaneFull { .. } => Disposition::Transient,
            Self::Fenced(_) | Self::LeaseLost => Disposition::Superseded,
            Self::NoTable(_) | Self::Unreadable { .. } | Self::NotOfPartition { .. } => {
                Disposition::Permanent
            }
        }
    }

    /// For `map_err`: `doing` completes the sentence "could not …".
    pub(crate) fn while_<E: Into<pg_replication::Error>>(
        doing: &'static str,
    ) -> impl Fn(E) -> Self {
        move |source| {
            let source = source.into();
            match source.sql_state() {
                Some(state) if UNDEFINED.contains(&state.as_str()) => Self::NoTable(source),
                _ => Self::Postgres { doing, source },
            }
        }
    }

    pub(crate) fn unreadable(
        column: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Unreadable {
            column,
            source: source.into(),
        }
    }
}
