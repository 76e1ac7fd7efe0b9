//! Removes outbox rows that are old and confirmed: `outbox.retention`.
//!
//! A row is removed when its time of writing is older than the configured age and its transaction is behind the
//! [`Horizon`], that is, confirmed by every slot. Work goes in small steps with pauses: an outbox is written to all the
//! time, and nobody waits for its old rows to go.

mod horizon;
mod partition;
mod sweep;

use std::collections::BTreeSet;
use std::time::Duration;

use metrics::counter;
use tokio::time::sleep;
use tokio_postgres::error::SqlState;
use tokio_util::sync::CancellationToken;

use self::horizon::Horizon;
use crate::config::{Config, OutboxTable};
use crate::database::Database;
use crate::error_code::ErrorCode;
use crate::failure::{Context, Failure};
use crate::metric;

/// Rows are looked for this many times within their age.
const ROUNDS_PER_AGE: u32 = 24;
/// Bounds of the time between two rounds.
const SHORTEST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(3_600);
/// How often a relay that is not active looks whether it has become so.
const STANDBY_REST: Duration = Duration::from_secs(1);

/// Nothing here may hold up an application: it gives way to every lock, and no statement is long.
const SETTINGS: &str = "SET lock_timeout = '1s'; SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '30s'";

/// Rows that one table has lost in one round.
type Removed = u64;

/// Removes rows until `shutdown` is cancelled; returns at once when `outbox.retention` is empty.
///
/// Works only while `active` is true. It must be true only while the relay streams: not while it waits as a standby, and
/// not before rows that the slot will never bring (a snapshot, a gap that is replayed) have been delivered.
///
/// No error ends it: each kind is logged once until a round succeeds, and the next round tries again. Dropping the
/// future is safe at any point: a statement or transaction that runs is finished or undone by the server.
pub(crate) async fn run(config: &Config, shutdown: &CancellationToken, active: impl Fn() -> bool) {
    let Some(age) = config.outbox.retention else {
        return;
    };
    let rest = (age.get() / ROUNDS_PER_AGE).clamp(SHORTEST_REST, LONGEST_REST);
    let retention = Retention {
        config,
        age: age.get(),
        active,
    };
    let mut told = BTreeSet::new();
    let rounds = async {
        loop {
            if retention.is_active() {
                retention.round(&mut told).await;
                sleep(rest).await;
            } else {
                sleep(STANDBY_REST).await;
            }
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = rounds => {}
    }
}

/// What every step needs.
struct Retention<'a, F> {
    config: &'a Config,
    age: Duration,
    active: F,
}

impl<F: Fn() -> bool> Retention<'_, F> {
    fn is_active(&self) -> bool {
        (self.active)()
    }

    /// Looks at every table once. `told` are the errors that were logged and have not gone away since.
    async fn round(&self, told: &mut BTreeSet<ErrorCode>) {
        let mut failed = BTreeSet::new();
        if let Err(failure) = self.tables(&mut failed, told).await {
            tell(&failure, &mut failed, told);
        }
        told.retain(|code| failed.contains(code));
        counter!(metric::RETENTION_ROUNDS).increment(1);
    }

    async fn tables(
        &self,
        failed: &mut BTreeSet<ErrorCode>,
        told: &mut BTreeSet<ErrorCode>,
    ) -> Result<(), Failure> {
        let context = Context::new(self.config, "prepare to remove old outbox rows");
        let mut database = Database::connect(self.config).await?;
        database.execute(SETTINGS, context).await?;
        let reached = Horizon::reach(&database, self.config, || self.is_active()).await?;
        let Some(horizon) = reached else {
            return Ok(());
        };
        // What was read counts only if the same relay has streamed all the while.
        if !self.is_active() {
            return Ok(());
        }
        for table in &self.config.outbox.tables {
            match self.table(table, &horizon, &mut database).await {
                Ok(removed) if removed > 0 => {
                    tracing::debug!(%table, removed, "removed old outbox rows");
                }
                Ok(_) => {}
                Err(failure) => tell(&failure, failed, told),
            }
        }
        Ok(())
    }

    /// Whole partitions first, which cost nothing; then the rows of what remains.
    async fn table(
        &self,
        table: &OutboxTable,
        horizon: &Horizon,
        database: &mut Database,
    ) -> Result<Removed, Failure> {
        let dropped = self.drop_partitions(table, horizon, database).await;
        let (mut removed, refused) = match dropped {
            Ok(removed) => (removed, None),
            Err(failure) => (0, Some(failure)),
        };
        removed += self.sweep(table, horizon, database).await?;
        refused.map_or(Ok(removed), Err)
    }

    /// An error of a statement about `table`.
    fn failure(&self, error: tokio_postgres::Error, table: &OutboxTable) -> Failure {
        let column = &self.config.outbox.retention_column;
        match error.code() {
            Some(&SqlState::INSUFFICIENT_PRIVILEGE) => Failure::new(
                ErrorCode::Privilege,
                format!("old rows of {table} cannot be removed: the role lacks a privilege"),
                format!(
                    "GRANT SELECT, DELETE ON {table} to the relay's role (also on each partition, and USAGE on the \
                     schema); only the owner can drop partitions. Or set `outbox.retention` to \"\" and remove rows \
                     by other means"
                ),
            )
            .caused_by(error),
            Some(&SqlState::UNDEFINED_COLUMN) => Failure::new(
                ErrorCode::OutboxColumnMissing,
                format!("old rows of {table} cannot be removed: it has no column {column:?}"),
                "set `outbox.retention_column` to the column with the time of writing",
            )
            .caused_by(error),
            _ => Failure::from_postgres(
                error.into(),
                Context::new(self.config, "remove old outbox rows"),
            ),
        }
    }
}

/// Counts a failure, and logs it unless one of its kind was logged before.
fn tell(failure: &Failure, failed: &mut BTreeSet<ErrorCode>, told: &mut BTreeSet<ErrorCode>) {
    let code = failure.code();
    counter!(metric::RETENTION_ERRORS, metric::CODE => code.as_str()).increment(1);
    failed.insert(code);
    if told.insert(code) {
        tracing::warn!(
            code = %code,
            error = failure.one_line(),
            help = failure.remedy(),
            "old outbox rows stay; tried again later"
        );
    }
}
