//! What can go wrong with the store of endpoints and deliveries, and what to do about it.
#![deny(clippy::wildcard_enum_match_arm)]

use std::time::Duration;

use cdc_event::{ErrorCode, Failure, HandlerError};
use pg_replication::Disposition;

use crate::endpoint::EndpointId;
use crate::secret_keys::SecretError;

/// SQLSTATEs of a table that does not exist, or has not all of its columns, and of a function that does not exist.
const UNDEFINED: [&str; 3] = ["42P01", "42703", "42883"];

/// SQLSTATE of a row that is there already.
pub(crate) const UNIQUE_VIOLATION: &str = "23505";

/// Classes of SQLSTATEs that say nothing of the statement: lost connections, conflicts with others, resources, and what
/// operators and the system do.
const AWAY: [&str; 5] = ["08", "40", "53", "57", "58"];

/// SQLSTATE of a server that may only be read.
const READ_ONLY: &str = "25006";

/// The code of a record that could not be dealt with because of the store.
const STORE: ErrorCode = ErrorCode::from_static("notifier-store");

/// An error of this crate. [`disposition`](Self::disposition) says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// PostgreSQL refused, or the connection to it broke.
    #[error("could not {doing}")]
    Postgres {
        /// What was done.
        doing: &'static str,
        /// Why.
        source: pg_replication::Error,
    },
    /// PostgreSQL did not answer in time; whether it was done is unknown.
    #[error("could not {doing} within {limit:?}")]
    TimedOut {
        /// What was done.
        doing: &'static str,
        /// The time it had.
        limit: Duration,
    },
    /// The tables were never made, or are those of an earlier version.
    #[error("the tables of the notifier do not exist, or are of an earlier version")]
    NoTable(#[source] pg_replication::Error),
    /// Somebody changed a table, or wrote into it by hand.
    #[error("column {column:?} of the store has a value of another form than expected")]
    Unreadable {
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is such an endpoint already.
    #[error("there is an endpoint {0} already")]
    EndpointExists(EndpointId),
    /// There is no such endpoint.
    #[error("there is no endpoint {0}")]
    NoEndpoint(EndpointId),
    /// What was given for an endpoint cannot be used.
    #[error("the {what} cannot be used")]
    Invalid {
        /// What of it.
        what: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A secret cannot be stored or read.
    #[error("the secret of the endpoint cannot be used")]
    Secret(#[source] SecretError),
    /// The notifier is being stopped, or has been.
    #[error("the notifier is stopping")]
    Stopping,
}

impl Error {
    /// What to do: the one place that decides it. What nobody knows counts as transient.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Postgres { source, .. } => source.disposition(),
            Self::NoTable(_)
            | Self::Unreadable { .. }
            | Self::EndpointExists(_)
            | Self::NoEndpoint(_)
            | Self::Invalid { .. }
            | Self::Secret(_) => Disposition::Permanent,
            Self::TimedOut { .. } | Self::Stopping => Disposition::Transient,
        }
    }

    /// Whether the store is away, which no record has a part in: its server or the way to it is down, is starting,
    /// stopping or out of room, or may only be read since another one took over.
    pub(crate) fn is_away(&self) -> bool {
        match self {
            Self::TimedOut { .. } => true,
            Self::Postgres { source, .. } => {
                source.disposition() != Disposition::Permanent
                    && source.sql_state().is_none_or(|state| {
                        let state = state.as_str();
                        state == READ_ONLY || AWAY.iter().any(|class| state.starts_with(class))
                    })
            }
            Self::NoTable(_)
            | Self::Unreadable { .. }
            | Self::EndpointExists(_)
            | Self::NoEndpoint(_)
            | Self::Invalid { .. }
            | Self::Secret(_)
            | Self::Stopping => false,
        }
    }

    /// What it means for a record that is to come again when the store is back.
    pub(crate) fn into_wait(self: std::sync::Arc<Self>, after: Duration) -> Failure {
        let what = "the store of deliveries is away";
        Failure::wait(HandlerError::new(STORE, what).caused_by(self), after)
    }

    /// What it means for a record: nothing was sent for it that is not written down, so it may come again.
    pub(crate) fn into_failure(self: std::sync::Arc<Self>) -> Failure {
        let disposition = self.disposition();
        let error =
            HandlerError::new(STORE, "the store of deliveries cannot be used").caused_by(self);
        match disposition {
            Disposition::Permanent => Failure::fatal(error),
            Disposition::Transient | Disposition::Standby => Failure::transient(error),
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

    /// Whether PostgreSQL refused because the row is there already.
    pub(crate) fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Postgres { source, .. }
            if source.sql_state().is_some_and(|state| state.as_str() == UNIQUE_VIOLATION))
    }
}
