//! The publication.

use super::finding::Findings;
use crate::config::{Config, quote_identifier};
use crate::database::{Database, Publication};
use crate::error_code::ErrorCode;
use crate::failure::Failure;

pub(super) async fn check(
    database: &Database,
    config: &Config,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let name = config.relay.publication.as_str();
    let Some(publication) = database.publication(config).await? else {
        let failure = Failure::new(
            ErrorCode::PublicationMissing,
            format!("the publication {name:?} does not exist"),
            "run `cdc-relay init`, or correct `relay.publication`",
        );
        findings.failed("publication", &failure);
        return Ok(());
    };
    lacks(&publication, config, findings);
    if findings.is_empty() {
        findings.ok(
            "publication",
            format!("{name:?} carries the inserts of all outbox tables"),
        );
    }
    excess(&publication, config, findings);
    Ok(())
}

/// What keeps events from coming, or from being whole.
fn lacks(publication: &Publication, config: &Config, findings: &mut Findings) {
    let name = config.relay.publication.as_str();
    let quoted = quote_identifier(name);
    let incomplete =
        |what: String, remedy: String| Failure::new(ErrorCode::PublicationIncomplete, what, remedy);
    if !publication.inserts {
        let failure = incomplete(
            format!("the publication {name:?} does not publish inserts"),
            format!("ALTER PUBLICATION {quoted} SET (publish = 'insert')"),
        );
        findings.failed("publication", &failure);
    }
    for table in publication.lacks(&config.outbox.tables) {
        let failure = incomplete(
            format!("the publication {name:?} does not carry {table}"),
            "run `cdc-relay init`".to_owned(),
        );
        findings.failed("publication", &failure);
    }
    for table in &config.outbox.tables {
        let filter = publication.row_filter_of(table).unwrap_or_default();
        if let Some(shard) = config.relay.shard
            && !shard.is_condition(filter)
        {
            let failure = incomplete(
                format!(
                    "the publication {name:?} does not divide {table}: its row filter is not that of shard {shard}"
                ),
                format!("ALTER PUBLICATION {quoted} DROP TABLE {table}; then run `cdc-relay init`"),
            );
            findings.failed("publication", &failure);
        }
        let published = publication.columns_of(table);
        for (key, column) in config.outbox.required_columns() {
            if !published.is_empty() && !published.contains(&column) {
                let failure = incomplete(
                    format!(
                        "the publication {name:?} leaves out column {column:?} of {table} (`outbox.{key}`)"
                    ),
                    "publish the table without a column list".to_owned(),
                );
                findings.failed("publication", &failure);
            }
        }
    }
}

/// What works, and may not be meant.
fn excess(publication: &Publication, config: &Config, findings: &mut Findings) {
    let quoted = quote_identifier(config.relay.publication.as_str());
    for table in &config.outbox.tables {
        // Of a shard, `lacks` has checked it.
        let filter = publication.row_filter_of(table);
        if let Some(filter) = filter.filter(|_| config.relay.shard.is_none()) {
            findings.warn(
                "row filter",
                format!("only rows of {table} with {filter} are relayed by this slot"),
                "if every row is an event: publish the table without WHERE",
                None,
            );
        }
    }
    if publication.other_changes {
        findings.warn(
            "publish",
            "updates, deletes or truncations are published too: they are no events, cost time, and PostgreSQL refuses \
             UPDATE and DELETE on a published table without a replica identity",
            format!("ALTER PUBLICATION {quoted} SET (publish = 'insert')"),
            None,
        );
    }
    let others = publication.others_than(&config.outbox.tables);
    if publication.all_tables || others > 0 {
        findings.warn(
            "other tables",
            format!("{others} tables that are no outbox are published too: their rows are sent to the relay for nothing"),
            format!("a publication of the outbox alone: ALTER PUBLICATION {quoted} SET TABLE ..."),
            None,
        );
    }
}
