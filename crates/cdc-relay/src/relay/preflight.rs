//! Checks before each stream starts, on the session that will stream. Without them a missing publication shows
//! only at the first change, as an error that names neither cause nor remedy; and a row that was written while the
//! publication left a column out can never be read whole again.

mod shards;

use pg_replication::{Row, Session, SystemIdentity, quote_literal};

pub(super) use shards::no_other_shards;

use super::error::RelayError;
use std::collections::{HashMap, HashSet};

use crate::config::{OutboxConfig, OutboxTable, RelayConfig};
use cdc_outbox::{Encoder, UnsuitableTable};

/// Finds out who answers, and that the publication carries the outbox.
pub(super) async fn check(
    session: &mut Session,
    relay: &RelayConfig,
    outbox: &OutboxConfig,
    encoder: &Encoder,
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
    for table in &outbox.tables {
        let columns = query(session, &published_columns(&literal, table)).await?;
        let has = |column| columns.iter().any(|row| row.get(0) == Some(column));
        if columns.is_empty() {
            return Err(incomplete(publication, format!("table {table}")));
        }
        if let Some(shard) = relay.shard
            && !shards::is_divided(session, &literal, table, shard).await?
        {
            let lacks = format!("the keys of shard {shard} of table {table}, and no others");
            return Err(incomplete(publication, lacks));
        }
        let mut required = encoder.required_columns();
        if let Some((option, column)) = required.find(|(_, column)| !has(column)) {
            return Err(RelayError::from(UnsuitableTable::MissingColumn {
                table: table.to_string(),
                column: column.to_owned(),
                option,
            }));
        }
    }
    Ok(identity)
}

/// The columns of `table` that `publication`, an SQL literal, carries: none if it does not carry the table.
///
/// With `publish_via_partition_root = false` the view lists the partitions that are there now in place of a partitioned
/// table; that those to come are carried too is a matter of the table itself. Column lists came with PostgreSQL 15. The
/// view is read as JSON since an older one lacks `attnames`.
fn published_columns(publication: &str, table: &OutboxTable) -> String {
    let (schema, name) = (quote_literal(table.schema()), quote_literal(table.name()));
    format!(
        "SELECT attribute.attname
           FROM pg_catalog.pg_class relation
           JOIN pg_catalog.pg_namespace schema ON schema.oid = relation.relnamespace
           JOIN pg_catalog.pg_attribute attribute
             ON attribute.attrelid = relation.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
          WHERE schema.nspname = {schema} AND relation.relname = {name} AND (
                EXISTS (
                    SELECT FROM pg_catalog.pg_publication_tables published
                     WHERE published.pubname = {publication} AND published.schemaname = schema.nspname
                       AND published.tablename = relation.relname AND COALESCE(
                           (pg_catalog.to_jsonb(published) -> 'attnames') ? attribute.attname::pg_catalog.text, TRUE))
                OR relation.relkind = 'p' AND EXISTS (
                    SELECT FROM pg_catalog.pg_publication publication
                     WHERE publication.pubname = {publication} AND NOT publication.pubviaroot
                       AND (publication.puballtables OR EXISTS (
                            SELECT FROM pg_catalog.pg_publication_rel
                             WHERE prpubid = publication.oid AND prrelid = relation.oid))))"
    )
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

/// The columns of the outbox tables that cannot be NULL, by schema and table.
pub(super) async fn not_null(
    session: &mut Session,
    outbox: &OutboxConfig,
) -> Result<HashMap<(String, String), HashSet<String>>, RelayError> {
    let mut found = HashMap::new();
    for table in &outbox.tables {
        let (schema, name) = (quote_literal(table.schema()), quote_literal(table.name()));
        let sql = format!(
            "SELECT attribute.attname FROM pg_catalog.pg_attribute attribute
               JOIN pg_catalog.pg_class relation ON relation.oid = attribute.attrelid
               JOIN pg_catalog.pg_namespace schema ON schema.oid = relation.relnamespace
              WHERE schema.nspname = {schema} AND relation.relname = {name} AND attribute.attnotnull"
        );
        let rows = query(session, &sql).await?;
        let columns = rows.iter().filter_map(|row| row.get(0).map(str::to_owned));
        found.insert(
            (table.schema().to_owned(), table.name().to_owned()),
            columns.collect(),
        );
    }
    Ok(found)
}
