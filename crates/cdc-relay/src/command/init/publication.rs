//! The publication of the outbox tables.

use super::key::Keys;
use crate::config::{Config, OutboxTable, quote_identifier};
use crate::database::{Database, Publication};
use crate::failure::{Context, Failure};
use crate::terminal::say;

/// One statement that gives the publication what it lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PublicationChange {
    sql: String,
    what: String,
}

impl PublicationChange {
    /// The statement.
    pub(super) fn sql(&self) -> &str {
        &self.sql
    }
}

/// What has to be done for the publication to carry the outbox, if anything.
pub(super) fn change(
    found: Option<&Publication>,
    keys: &Keys,
    config: &Config,
) -> Option<PublicationChange> {
    let name = config.relay.publication.as_str();
    let quoted = quote_identifier(name);
    let tables = &config.outbox.tables;
    let list = |tables: &mut dyn Iterator<Item = &OutboxTable>| {
        tables
            .map(|table| keys.published(table, config.relay.shard))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let Some(found) = found else {
        let for_tables = if tables.is_empty() {
            String::new()
        } else {
            format!(" FOR TABLE {}", list(&mut tables.iter()))
        };
        // Inserts only: rows may be deleted without a replica identity, and deletions are no events. Via the root:
        // the partitions of an outbox come and go, its name stays.
        let sql = format!(
            "CREATE PUBLICATION {quoted}{for_tables} WITH (publish = 'insert', publish_via_partition_root = true)"
        );
        return Some(PublicationChange {
            sql,
            what: format!("created        publication {name}"),
        });
    };
    let lacks = found.lacks(tables);
    if lacks.is_empty() {
        return None;
    }
    let sql = format!(
        "ALTER PUBLICATION {quoted} ADD TABLE {}",
        list(&mut lacks.into_iter())
    );
    Some(PublicationChange {
        sql,
        what: format!("changed        publication {name}: added what it lacked"),
    })
}

/// Runs the statement.
pub(super) async fn apply(
    change: Option<&PublicationChange>,
    database: &Database,
    config: &Config,
) -> Result<(), Failure> {
    match change {
        Some(PublicationChange { sql, what }) => {
            database
                .execute(sql, Context::new(config, "make the publication"))
                .await?;
            say(what);
        }
        None => say(format!(
            "already there  publication {}",
            config.relay.publication
        )),
    }
    Ok(())
}
