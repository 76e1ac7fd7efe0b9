//! Checks before each stream starts, on the session that will stream. Without them a missing publication shows
//! only at the first change, as an error that names neither cause nor remedy.

use pg_replication::{Row, Session, SystemIdentity, quote_literal};

use super::error::RelayError;
use crate::config::{OutboxConfig, RelayConfig};

/// Finds out who answers, and that the publication carries the outbox.
pub(super) async fn check(
    session: &mut Session,
    relay: &RelayConfig,
    outbox: &OutboxConfig,
) -> Result<SystemIdentity, RelayError> {
    let identity = session
        .identify_system()
        .await
        .map_err(|source| RelayError::Postgres {
            doing: "identify the server",
            source,
        })?;
    let publication = relay.publication.as_str();
    let literal = quote_literal(publication);
    let found = query(
        session,
        &format!("SELECT pubinsert FROM pg_catalog.pg_publication WHERE pubname = {literal}"),
    )
    .await?;
    match found.first().and_then(|row| row.get(0)) {
        None => {
            return Err(RelayError::PublicationMissing {
                publication: publication.to_owned(),
            });
        }
        Some("t") => {}
        Some(_) => return Err(incomplete(publication, "inserts".to_owned())),
    }
    let published = query(
        session,
        &format!(
            "SELECT schemaname, tablename FROM pg_catalog.pg_publication_tables WHERE pubname = {literal}"
        ),
    )
    .await?;
    for table in &outbox.tables {
        let carried = published
            .iter()
            .any(|row| matches!((row.get(0), row.get(1)), (Some(schema), Some(name)) if table.is(schema, name)));
        if !carried {
            return Err(incomplete(publication, format!("table {table}")));
        }
    }
    Ok(identity)
}

fn incomplete(publication: &str, lacks: String) -> RelayError {
    RelayError::PublicationIncomplete {
        publication: publication.to_owned(),
        lacks,
    }
}

async fn query(session: &mut Session, sql: &str) -> Result<Vec<Row>, RelayError> {
    session
        .simple_query(sql)
        .await
        .map_err(|source| RelayError::Postgres {
            doing: "look at the publication",
            source,
        })
}
