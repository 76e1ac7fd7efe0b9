//! What can go wrong with a scan, and what to do about it.
#![deny(clippy::wildcard_enum_match_arm)]

use pg_replication::{Disposition, SqlState};

use crate::plan::TableName;
use crate::snapshot::InvalidSnapshot;

/// An error of this crate. [`disposition`](Self::disposition) says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// PostgreSQL refused, or the connection to it broke.
    #[error("could not {doing}")]
    Postgres {
        /// What we did.
        doing: &'static str,
        /// Why.
        source: pg_replication::Error,
    },
    /// The session that exported the snapshot has ended, or gone on.
    #[error("the exported snapshot {name:?} is no longer there")]
    SnapshotGone {
        /// Its name.
        name: String,
        /// The server's words.
        source: pg_replication::Error,
    },
    /// Rows are sorted in temporary files, and the server allows this session fewer bytes of them (`temp_file_limit`).
    #[error("PostgreSQL may not use enough temporary files to sort the rows (temp_file_limit)")]
    NoRoomToSort {
        /// The server's words.
        source: pg_replication::Error,
    },
    /// There is no such table.
    #[error("the table {table} does not exist")]
    TableMissing {
        /// Its name.
        table: TableName,
    },
    /// It is a view or the like.
    #[error("{table} is not a table")]
    NotATable {
        /// Its name.
        table: TableName,
    },
    /// The server's snapshot has an unknown form.
    #[error("PostgreSQL gave a snapshot that is not understood")]
    UnreadableSnapshot {
        /// Why.
        source: InvalidSnapshot,
    },
    /// The server's rows have an unknown form.
    #[error("PostgreSQL gave a row without a readable {what}")]
    UnreadableRow {
        /// The part of it.
        what: &'static str,
    },
    /// It has failed before.
    #[error("the scan is over: it has failed")]
    Over,
}

impl Error {
    /// What to do: the one place that decides it. What nobody knows counts as transient. After a transient error open
    /// another scan, with [`View::AsOf`](crate::View::AsOf) the same snapshot and behind the last row that was taken.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            // A table or column that was there when the scan was planned: the next one plans without it.
            Self::Postgres { source, .. } if is_stale_plan(source) => Disposition::Transient,
            Self::Postgres { source, .. } => source.disposition(),
            Self::SnapshotGone { .. } | Self::Over => Disposition::Transient,
            Self::NoRoomToSort { .. }
            | Self::TableMissing { .. }
            | Self::NotATable { .. }
            | Self::UnreadableSnapshot { .. }
            | Self::UnreadableRow { .. } => Disposition::Permanent,
        }
    }

    /// The SQLSTATE, when the server gave one.
    #[must_use]
    pub fn sql_state(&self) -> Option<SqlState> {
        match self {
            Self::Postgres { source, .. }
            | Self::SnapshotGone { source, .. }
            | Self::NoRoomToSort { source } => source.sql_state(),
            Self::TableMissing { .. }
            | Self::NotATable { .. }
            | Self::UnreadableSnapshot { .. }
            | Self::UnreadableRow { .. }
            | Self::Over => None,
        }
    }
}

/// Undefined table or column.
fn is_stale_plan(error: &pg_replication::Error) -> bool {
    error
        .sql_state()
        .is_some_and(|state| matches!(state.as_str(), "42P01" | "42703"))
}
