//! Places in the stream that a checkpoint can speak of.

use std::sync::Arc;

use pg_lsn::Lsn;
use pg_replication::{CommitToken, PgTimestamp};

use crate::relay::backfill::Backfill;
use crate::relay::checkpoint::{Checkpoint, SeenCommit};

/// A place between two records.
#[derive(Debug)]
pub(in crate::relay) struct Mark {
    pub(in crate::relay) kind: MarkKind,
    /// Confirms everything up to here; `None` where the stream has no such place.
    pub(in crate::relay) token: Option<CommitToken>,
}

/// What is at the place.
#[derive(Debug)]
pub(in crate::relay) enum MarkKind {
    /// A transaction's end.
    Commit {
        /// Where its commit record begins.
        commit_lsn: Lsn,
        committed_at: PgTimestamp,
    },
    /// A message from outside of any transaction, which is a transaction of its own.
    Standalone,
    /// A transaction or message that Kafka had before.
    Covered,
    /// The server has sent all that it has.
    Idle {
        /// The server wants to know at once how far it is confirmed.
        urgent: bool,
    },
    /// Rows that were read from a table; `None` at the end of the last one.
    Backfill(Option<Arc<Backfill>>),
}

/// What is true once everything before a mark is in Kafka.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::relay) struct Frontier {
    pub(in crate::relay) lsn: Lsn,
    pub(in crate::relay) newest: Option<SeenCommit>,
    pub(in crate::relay) backfill: Option<Arc<Backfill>>,
}

impl Frontier {
    pub(super) fn of(checkpoint: &Checkpoint) -> Self {
        Self {
            lsn: checkpoint.lsn,
            newest: checkpoint.newest,
            backfill: checkpoint.backfill.clone().map(Arc::new),
        }
    }

    /// Moves over a mark. The position never goes back: a server may repeat what it was confirmed long ago.
    pub(super) fn pass(&mut self, mark: &Mark) {
        if let Some(token) = &mark.token {
            self.lsn = self.lsn.max(token.lsn());
        }
        match &mark.kind {
            MarkKind::Commit {
                commit_lsn,
                committed_at,
            } => {
                if self.newest.is_none_or(|newest| newest.lsn < *commit_lsn) {
                    self.newest = Some(SeenCommit::new(*commit_lsn, *committed_at));
                }
            }
            MarkKind::Backfill(backfill) => self.backfill.clone_from(backfill),
            MarkKind::Standalone | MarkKind::Covered | MarkKind::Idle { .. } => {}
        }
    }
}

impl Mark {
    /// When its transaction was committed, if it is one.
    pub(super) fn committed_at(&self) -> Option<PgTimestamp> {
        match self.kind {
            MarkKind::Commit { committed_at, .. } => Some(committed_at),
            MarkKind::Standalone
            | MarkKind::Covered
            | MarkKind::Idle { .. }
            | MarkKind::Backfill(_) => None,
        }
    }

    /// Whether a transaction ends here that was not in Kafka before.
    pub(super) fn is_transaction(&self) -> bool {
        matches!(self.kind, MarkKind::Commit { .. } | MarkKind::Standalone)
    }

    pub(super) fn is_urgent(&self) -> bool {
        matches!(self.kind, MarkKind::Idle { urgent: true })
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self.kind, MarkKind::Idle { .. })
    }
}
