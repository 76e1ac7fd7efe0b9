//! Whose part a table of the stream is.
//!
//! With `publish_via_partition_root = false` the rows of a partition come under the partition's own name, and the stream
//! does not say whose part it is. The catalogue is asked when such a table is described, never for a row.

use pg_replication::pgoutput::RelationId;
use pg_replication::{Client, connect_client};

use super::Relay;
use super::error::RelayError;
use crate::config::OutboxTable;

/// What the catalogue says of a table that is no outbox by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Membership {
    /// A partition of this outbox, at any depth.
    PartOf(OutboxTable),
    /// The publication carries it for its own sake.
    Unrelated,
    /// The publication does not carry it any more: it was detached or dropped since.
    Gone,
}

/// Asks the catalogue.
#[derive(Debug)]
pub(super) struct PartitionFinder<'a> {
    relay: &'a Relay,
    /// From the first question on.
    client: Option<Client>,
}

/// An outbox that is not there under its name was renamed: what its partitions are called says nothing then.
const MEMBERSHIP: &str = "
    WITH outboxes AS (
        SELECT names.number, relation.oid
          FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[]))
               WITH ORDINALITY AS names(schema, name, number)
          LEFT JOIN pg_catalog.pg_namespace schema ON schema.nspname = names.schema
          LEFT JOIN pg_catalog.pg_class relation
            ON relation.relnamespace = schema.oid AND relation.relname = names.name
    )
    SELECT (SELECT min(number) FROM outboxes WHERE oid IS NULL) AS renamed,
           (SELECT min(number) FROM outboxes
             WHERE oid IN (SELECT relid FROM pg_catalog.pg_partition_ancestors($3::oid))) AS part_of,
           EXISTS (
               SELECT FROM pg_catalog.pg_publication_tables published
                 JOIN pg_catalog.pg_namespace schema ON schema.nspname = published.schemaname
                 JOIN pg_catalog.pg_class relation
                   ON relation.relnamespace = schema.oid AND relation.relname = published.tablename
                WHERE published.pubname = $4::text::name AND relation.oid = $3::oid) AS carried";

impl<'a> PartitionFinder<'a> {
    pub(super) fn new(relay: &'a Relay) -> Self {
        Self {
            relay,
            client: None,
        }
    }

    /// Whose part the table is.
    ///
    /// Cancellation safe.
    pub(super) async fn find(&mut self, relation: RelationId) -> Result<Membership, RelayError> {
        let failed = |source| RelayError::Postgres {
            doing: "look whose partition a table is",
            source,
        };
        let client = match self.client.take() {
            Some(client) => client,
            None => connect_client(&self.relay.postgres).await.map_err(failed)?,
        };
        let client = self.client.insert(client);
        let tables = &self.relay.config.outbox.tables;
        let schemas: Vec<&str> = tables.iter().map(OutboxTable::schema).collect();
        let names: Vec<&str> = tables.iter().map(OutboxTable::name).collect();
        let publication = self.relay.publication.as_str();
        let row = client
            .query_one(MEMBERSHIP, &[&schemas, &names, &relation.0, &publication])
            .await
            .map_err(|error| failed(error.into()))?;
        let column = |name| {
            row.try_get::<_, Option<i64>>(name)
                .map_err(|error| failed(error.into()))
        };
        let table = |number: i64| {
            let index = usize::try_from(number - 1).unwrap_or(usize::MAX);
            tables.get(index)
        };
        if let Some(renamed) = column("renamed")?.and_then(table) {
            return Err(RelayError::PublicationIncomplete {
                publication: publication.to_owned(),
                lacks: format!("table {renamed}"),
            });
        }
        if let Some(outbox) = column("part_of")?.and_then(table) {
            return Ok(Membership::PartOf(outbox.clone()));
        }
        let carried = row
            .try_get("carried")
            .map_err(|error| failed(error.into()))?;
        Ok(if carried {
            Membership::Unrelated
        } else {
            Membership::Gone
        })
    }
}
