//! The publication.

use super::finding::Findings;
use crate::config::Config;
use crate::database::Database;
use crate::error_code::ErrorCode;
use crate::failure::Failure;

pub(super) async fn check(database: &Database, config: &Config) -> Result<Findings, Failure> {
    let name = config.relay.publication.as_str();
    let mut findings = Findings::default();
    let Some(publication) = database.publication(config).await? else {
        let failure = Failure::new(
            ErrorCode::PublicationMissing,
            format!("the publication {name:?} does not exist"),
            "run `cdc-relay init`, or correct `relay.publication`",
        );
        findings.failed("publication", &failure);
        return Ok(findings);
    };
    let incomplete =
        |what: String, remedy: String| Failure::new(ErrorCode::PublicationIncomplete, what, remedy);
    if !publication.inserts {
        let failure = incomplete(
            format!("the publication {name:?} does not publish inserts"),
            format!("ALTER PUBLICATION {name:?} SET (publish = 'insert')"),
        );
        findings.failed("publication", &failure);
    }
    for table in publication.lacks(&config.outbox.tables) {
        let partitioned = database
            .outbox(table, config)
            .await?
            .is_some_and(|shape| shape.partitioned);
        let remedy = if partitioned && !publication.via_root {
            format!("ALTER PUBLICATION {name:?} SET (publish_via_partition_root = true)")
        } else {
            "run `cdc-relay init`".to_owned()
        };
        let failure = incomplete(
            format!("the publication {name:?} does not carry {table} under its name"),
            remedy,
        );
        findings.failed("publication", &failure);
    }
    for table in &config.outbox.tables {
        let published = publication.columns_of(table);
        for (key, column) in config.outbox.required_columns() {
            if !published.is_empty() && !published.iter().any(|published| published == column) {
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
    if findings.findings.is_empty() {
        findings.ok(
            "publication",
            format!("{name:?} carries the inserts of all outbox tables"),
        );
    }
    Ok(findings)
}
