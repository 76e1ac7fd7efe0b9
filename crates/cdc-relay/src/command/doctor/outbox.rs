//! An outbox table.

use super::finding::Findings;
use super::privileges;
use crate::command::init;
use crate::config::{Config, OutboxTable};
use crate::database::{Database, OutboxShape};
use crate::error_code::ErrorCode;
use crate::failure::Failure;

/// More indexes than this are worth a word.
const FEW_INDEXES: i32 = 2;

pub(super) async fn check(
    table: &OutboxTable,
    database: &Database,
    config: &Config,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let Some(shape) = database.outbox(table, config).await? else {
        findings.failed("outbox", &init::missing_table(table));
        return Ok(());
    };
    for (key, column) in config.outbox.required_columns() {
        if shape.column(&column).is_none() {
            findings.failed("outbox", &init::missing_column(table, key, &column));
        }
    }
    if shape.unlogged {
        findings.fail(
            "outbox",
            format!("{table} is unlogged or temporary: its rows are never streamed"),
            format!("ALTER TABLE {table} SET LOGGED"),
        );
    }
    if findings.is_empty() {
        findings.ok("outbox", format!("{table} has the columns of the contract"));
    }
    columns(&shape, config, findings);
    indexes(&shape, findings);
    partitions(&shape, config, findings);
    privileges::of_table(table, &shape, config, findings);
    retention(&shape, config, findings);
    Ok(())
}

fn columns(shape: &OutboxShape, config: &Config, findings: &mut Findings) {
    let payload = &config.outbox.payload;
    match shape.column(payload).map(|column| column.type_name.as_str()) {
        Some("jsonb") => findings.warn(
            "payload",
            format!(
                "{payload:?} is jsonb: PostgreSQL prints it anew for every event, which halves how fast it can be \
                 streamed, and the text differs from what was written"
            ),
            "json keeps the bytes as written and costs nothing; jsonb works too",
            None,
        ),
        Some(other) => findings.ok("payload", format!("{payload:?} is {other}: passed on as written")),
        None => {}
    }
    for (key, column) in [
        ("id", &config.outbox.id),
        ("route_by", &config.outbox.route_by),
    ] {
        if shape.column(column).is_some_and(|column| column.nullable) {
            findings.warn(
                "nullable",
                format!("{column:?} (`outbox.{key}`) may be NULL: a row without it is no event, and stops the relay"),
                format!("ALTER TABLE ... ALTER COLUMN {column:?} SET NOT NULL"),
                Some(ErrorCode::OutboxRowInvalid),
            );
        }
    }
}

fn indexes(shape: &OutboxShape, findings: &mut Findings) {
    let count = shape.indexes;
    if count > FEW_INDEXES {
        findings.warn(
            "indexes",
            format!("{count} indexes: each writes a log record for every event, which PostgreSQL reads again to stream"),
            "drop those that no query needs; the relay needs none",
            None,
        );
    } else {
        findings.ok("indexes", format!("{count}"));
    }
}

fn partitions(shape: &OutboxShape, config: &Config, findings: &mut Findings) {
    let (Some(key), partitions) = (&shape.partitions.key, &shape.partitions) else {
        return;
    };
    let column = &config.outbox.retention_column;
    if partitions.leaves == 0 {
        findings.warn(
            "partitions",
            format!("none, by {key}: every insert fails"),
            "create a partition",
            None,
        );
        return;
    }
    let default = if partitions.has_default {
        ", with a default one"
    } else {
        ""
    };
    findings.ok(
        "partitions",
        format!("{}, by {key}{default}", partitions.leaves),
    );
    if config.outbox.retention.is_none() {
        return;
    }
    if partitions.range_column.as_ref() != Some(column) {
        findings.ok(
            "retention",
            format!(
                "deletes rows; it could drop partitions by range of {column:?} instead, which costs nothing"
            ),
        );
    } else if !partitions.owned {
        findings.warn(
            "retention",
            "deletes rows one by one: only the table's owner can drop partitions, which costs nothing",
            "make the relay's role a member of the owner",
            None,
        );
    }
}

/// The types whose values have an age.
const TIMES: [&str; 3] = [
    "timestamp with time zone",
    "timestamp without time zone",
    "date",
];

fn retention(shape: &OutboxShape, config: &Config, findings: &mut Findings) {
    let Some(age) = config.outbox.retention else {
        return;
    };
    let name = &config.outbox.retention_column;
    match shape.column(name) {
        Some(column) if TIMES.contains(&column.type_name.as_str()) => {
            findings.ok(
                "retention",
                format!("confirmed rows go {age} after {name:?}"),
            );
        }
        Some(column) => findings.warn(
            "retention",
            format!(
                "{name:?} is {}, which says nothing of a row's age: old rows stay",
                column.type_name
            ),
            "set `outbox.retention_column` to a timestamptz column",
            None,
        ),
        None => findings.warn(
            "retention",
            format!("the column {name:?} does not exist: old rows stay"),
            "set `outbox.retention_column` to the column with the time of writing",
            Some(ErrorCode::OutboxColumnMissing),
        ),
    }
}
