//! The migrations of schema `cdc`, compiled in from `sql/`, each applied once and in order.

use refinery::{Migration, Report, Runner};

use crate::config::Config;
use crate::database::Database;
use crate::error_code::ErrorCode;
use crate::failure::Failure;

mod embedded {
    refinery::embed_migrations!("../../sql");
}

/// Where it is recorded which migrations were applied.
pub(crate) const HISTORY: &str = "cdc.schema_history";

/// Those that `database` does not have yet, in order.
///
/// # Errors
///
/// PostgreSQL refuses.
pub(crate) async fn pending(
    database: &Database,
    config: &Config,
) -> Result<Vec<Migration>, Failure> {
    let applied = database.applied_migrations(config).await?;
    let mut pending: Vec<Migration> = embedded::migrations::runner()
        .get_migrations()
        .iter()
        .filter(|migration| !applied.contains(&i64::from(migration.version())))
        .cloned()
        .collect();
    pending.sort();
    Ok(pending)
}

/// Applies what is pending, all in one transaction. The schema must exist.
///
/// # Errors
///
/// [`ErrorCode::Migration`]: nothing was applied.
pub(crate) async fn apply(database: &mut Database) -> Result<Report, Failure> {
    runner().run_async(database.raw()).await.map_err(|error| {
        Failure::new(
            ErrorCode::Migration,
            "the migrations of schema \"cdc\" cannot be applied; nothing was changed",
            "run `init` as a role that may create tables in schema cdc, normally its owner; a table or function of \
             the same name that somebody else made has to be moved away first",
        )
        .caused_by(error)
    })
}

fn runner() -> Runner {
    let mut runner = embedded::migrations::runner().set_grouped(true);
    runner.set_migration_table_name(HISTORY);
    runner
}
