//! What can go wrong with the store, and what to do about it.
#![deny(clippy::wildcard_enum_match_arm)]

use pg_replication::Disposition;

/// SQLSTATE of a table that does not exist.
const UNDEFINED_TABLE: &str = "42P01";

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
    /// The tables were never made.
    #[error("the table cdc.failed_event does not exist")]
    NoTable(#[source] pg_replication::Error),
    /// Somebody changed the table, or wrote into it by hand.
    #[error("column {column:?} of the store has a value of another form than expected")]
    Unreadable {
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// What to do: the one place that decides it.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Postgres { source, .. } => source.disposition(),
            Self::NoTable(_) | Self::Unreadable { .. } => Disposition::Permanent,
        }
    }

    /// For `map_err`: `doing` completes the sentence "could not …".
    pub(crate) fn while_<E: Into<pg_replication::Error>>(
        doing: &'static str,
    ) -> impl Fn(E) -> Self {
        move |source| {
            let source = source.into();
            match source.sql_state() {
                Some(state) if state.as_str() == UNDEFINED_TABLE => Self::NoTable(source),
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
