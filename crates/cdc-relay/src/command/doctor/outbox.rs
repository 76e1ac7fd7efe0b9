//! The outbox tables.

use super::finding::Findings;
use crate::command::init;
use crate::config::Config;
use crate::database::Database;
use crate::failure::Failure;

pub(super) async fn check(database: &Database, config: &Config) -> Result<Findings, Failure> {
    let mut findings = Findings::default();
    for table in &config.outbox.tables {
        let Some(shape) = database.outbox(table, config).await? else {
            findings.failed("outbox", &init::missing_table(table));
            continue;
        };
        let before = findings.findings.len();
        for (key, column) in config.outbox.required_columns() {
            if shape.column(column).is_none() {
                findings.failed("outbox", &init::missing_column(table, key, column));
            }
        }
        if shape.unlogged {
            findings.warn(
                "outbox",
                format!("{table} is unlogged or temporary: its rows are never streamed"),
                format!("ALTER TABLE {table} SET LOGGED"),
                None,
            );
        }
        if findings.findings.len() == before {
            findings.ok("outbox", format!("{table} has the columns of the contract"));
        }
        let payload = shape.column(&config.outbox.payload);
        if payload.is_some_and(|column| column.type_name == "jsonb") {
            findings.warn(
                "payload",
                format!(
                    "{table}.{} is jsonb: PostgreSQL prints it anew for every event, which halves how fast it can \
                     be streamed, and the text differs from what was written",
                    config.outbox.payload
                ),
                "json keeps the bytes as written and costs nothing; jsonb works too",
                None,
            );
        }
    }
    Ok(findings)
}
