//! The outbox tables must be there, with the columns of the contract.

use crate::config::{Config, OutboxTable};
use crate::database::Database;
use crate::error_code::ErrorCode;
use crate::failure::Failure;

/// The table that the migrations make.
const OWN: (&str, &str) = ("cdc", "outbox");

/// Every outbox table.
pub(super) async fn check(database: &Database, config: &Config) -> Result<(), Failure> {
    for table in &config.outbox.tables {
        check_one(table, database, config).await?;
    }
    Ok(())
}

/// Every outbox table but the one that is still to be made.
pub(super) async fn check_others(database: &Database, config: &Config) -> Result<(), Failure> {
    for table in config
        .outbox
        .tables
        .iter()
        .filter(|table| !table.is(OWN.0, OWN.1))
    {
        check_one(table, database, config).await?;
    }
    Ok(())
}

async fn check_one(
    table: &OutboxTable,
    database: &Database,
    config: &Config,
) -> Result<(), Failure> {
    let Some(shape) = database.outbox(table, config).await? else {
        return Err(missing_table(table));
    };
    match config
        .outbox
        .required_columns()
        .into_iter()
        .find(|(_, column)| shape.column(column).is_none())
    {
        Some((key, column)) => Err(missing_column(table, key, &column)),
        None => Ok(()),
    }
}

/// What `doctor` says too.
pub(in crate::command) fn missing_table(table: &OutboxTable) -> Failure {
    Failure::new(
        ErrorCode::OutboxTableMissing,
        format!("the outbox table {table} (`outbox.tables`) does not exist in this database"),
        "correct `outbox.tables` or the database in `postgres.url`; `cdc-relay init` makes only cdc.outbox",
    )
}

/// What `doctor` says too.
pub(in crate::command) fn missing_column(table: &OutboxTable, key: &str, column: &str) -> Failure {
    Failure::new(
        ErrorCode::OutboxColumnMissing,
        format!("the outbox table {table} has no column {column:?}, which `outbox.{key}` names"),
        format!("set `outbox.{key}` to the name of the column, or add it to the table"),
    )
}
