//! The migrations of schema `cdc`, compiled in from `sql/`, each applied once and in order.

use refinery::{Migration, Report, Runner};

use crate::config::Config;
use crate::database::Database;
use crate::error_code::ErrorCode;
use crate::failure::Failure;

mod embedded {
    refinery::embed_migrations!("../../sql");
}

/// What belongs into one database. Outbox and stores may share one; each part has a history of its own, so that it does
/// not matter whether they do, or did once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Where events are written, `postgres.url`.
    Outbox,
    /// What cdc-relay itself writes, `postgres.store_url`.
    Store,
}

impl Part {
    /// Where it is recorded which migrations were applied.
    pub(crate) const fn history(self) -> &'static str {
        match self {
            Self::Outbox => "cdc.schema_history",
            Self::Store => "cdc.store_history",
        }
    }

    /// Where a migration belongs.
    fn of(migration: &Migration) -> Self {
        match migration.version() {
            ..=3 => Self::Outbox,
            _ => Self::Store,
        }
    }
}

/// Those of `part` that `database` does not have yet, in order.
///
/// # Errors
///
/// PostgreSQL refuses.
pub(crate) async fn pending(
    part: Part,
    database: &Database,
    config: &Config,
) -> Result<Vec<Migration>, Failure> {
    let applied = database.applied_migrations(part, config).await?;
    let mut pending = all(part);
    pending.retain(|migration| !applied.contains(&i64::from(migration.version())));
    Ok(pending)
}

/// Applies what is pending of `part`, all in one transaction. The schema must exist.
///
/// # Errors
///
/// [`ErrorCode::Migration`]: nothing was applied.
pub(crate) async fn apply(part: Part, database: &mut Database) -> Result<Report, Failure> {
    runner(part).run_async(database.raw()).await.map_err(|error| {
        Failure::new(
            ErrorCode::Migration,
            "the migrations of schema \"cdc\" cannot be applied; nothing was changed",
            "run `init` as a role that may create tables in schema cdc, normally its owner; a table or function of \
             the same name that somebody else made has to be moved away first",
        )
        .caused_by(error)
    })
}

/// SQL that records a migration as applied, for one whose SQL is run by hand.
pub(crate) fn record(part: Part, migration: &Migration) -> String {
    let history = part.history();
    let (version, name, checksum) = (migration.version(), migration.name(), migration.checksum());
    // The table and the form of the time are refinery's.
    format!(
        "CREATE TABLE IF NOT EXISTS {history} (
    version int4 PRIMARY KEY, name varchar(255), applied_on varchar(255), checksum varchar(255)
);
INSERT INTO {history} VALUES
    ({version}, '{name}', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), '{checksum}');"
    )
}

fn all(part: Part) -> Vec<Migration> {
    let mut migrations: Vec<Migration> = embedded::migrations::runner()
        .get_migrations()
        .iter()
        .filter(|migration| Part::of(migration) == part)
        .cloned()
        .collect();
    migrations.sort();
    migrations
}

fn runner(part: Part) -> Runner {
    let mut runner = Runner::new(&all(part)).set_grouped(true);
    runner.set_migration_table_name(part.history());
    runner
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_belongs_into_one_database() {
        let names = |part| {
            let migrations = all(part);
            let names = migrations
                .iter()
                .map(|migration| migration.name().to_owned());
            names.collect::<Vec<_>>()
        };
        assert_eq!(names(Part::Outbox), ["outbox", "emit", "emit_message"]);
        assert_eq!(
            names(Part::Store),
            [
                "failed_event",
                "failed_event_part",
                "lane",
                "notifier",
                "lane_delays",
                "attempts",
                "attempts_by_time",
                "endpoint_breaker",
                "cheaper_deliveries",
                "lane_part_due",
                "lane_replay",
                "untold_deliveries",
                "endpoint_news",
                "arrivals"
            ]
        );
    }
}
