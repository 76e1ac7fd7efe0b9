//! The publication as the server has it.

use super::{Database, value};
use crate::config::{Config, OutboxTable};
use crate::failure::{Context, Failure};

/// A publication and the tables whose changes it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Publication {
    /// Whether it carries inserts.
    pub(crate) inserts: bool,
    /// Whether it carries changes that are no events: updates, deletes or truncations.
    pub(crate) other_changes: bool,
    /// Whether it carries every table of the database.
    pub(crate) all_tables: bool,
    /// Every table in it.
    tables: Vec<PublishedTable>,
}

/// A table in a publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublishedTable {
    schema: String,
    name: String,
    /// The root, with its schema, of the table that it is a partition of.
    root: Option<(String, String)>,
    /// The columns that are published.
    columns: Vec<String>,
    /// Only rows for which this holds are published.
    row_filter: Option<String>,
}

const PUBLICATION: &str = "SELECT pubinsert AS inserts, puballtables AS all_tables,
           pubupdate OR pubdelete OR pubtruncate AS other_changes
      FROM pg_catalog.pg_publication WHERE pubname = $1::text::name";

/// With `publish_via_partition_root = false` only the partitions that are there now are listed, under their own names; that
/// those to come are carried too is a matter of the root.
const TABLES: &str = "
    SELECT published.schemaname::text AS schema, published.tablename::text AS name,
           root_schema.nspname::text AS root_schema, root.relname::text AS root_name,
           published.attnames::text[] AS columns, published.rowfilter
      FROM pg_catalog.pg_publication_tables published
      JOIN pg_catalog.pg_namespace schema ON schema.nspname = published.schemaname
      JOIN pg_catalog.pg_class relation
        ON relation.relnamespace = schema.oid AND relation.relname = published.tablename
      LEFT JOIN pg_catalog.pg_class root
        ON relation.relispartition AND root.oid = pg_catalog.pg_partition_root(relation.oid)
      LEFT JOIN pg_catalog.pg_namespace root_schema ON root_schema.oid = root.relnamespace
     WHERE published.pubname = $1::text::name
    UNION ALL
    SELECT schema.nspname::text, relation.relname::text, NULL, NULL,
           ARRAY(SELECT attname::text FROM pg_catalog.pg_attribute
                  WHERE attrelid = relation.oid AND attnum > 0 AND NOT attisdropped), NULL
      FROM pg_catalog.pg_publication publication
      JOIN pg_catalog.pg_class relation ON relation.relkind = 'p'
      JOIN pg_catalog.pg_namespace schema ON schema.oid = relation.relnamespace
     WHERE publication.pubname = $1::text::name AND NOT publication.pubviaroot
       AND (publication.puballtables OR EXISTS (
            SELECT FROM pg_catalog.pg_publication_rel WHERE prpubid = publication.oid AND prrelid = relation.oid))";

impl Database {
    /// The configured publication; `None` when it does not exist.
    pub(crate) async fn publication(
        &self,
        config: &Config,
    ) -> Result<Option<Publication>, Failure> {
        let context = Context::new(config, "look at the publication");
        let name = config.relay.publication.as_str();
        let Some(row) = self.row(PUBLICATION, &[&name], context).await? else {
            return Ok(None);
        };
        let tables = self.rows(TABLES, &[&name], context).await?;
        let tables: Result<Vec<_>, Failure> = tables
            .iter()
            .map(|row| {
                Ok(PublishedTable {
                    schema: value(row, "schema")?,
                    name: value(row, "name")?,
                    root: value::<Option<String>>(row, "root_schema")?
                        .zip(value(row, "root_name")?),
                    columns: value::<Option<Vec<String>>>(row, "columns")?.unwrap_or_default(),
                    row_filter: value(row, "rowfilter")?,
                })
            })
            .collect();
        Ok(Some(Publication {
            inserts: value(&row, "inserts")?,
            other_changes: value(&row, "other_changes")?,
            all_tables: value(&row, "all_tables")?,
            tables: tables?,
        }))
    }
}

impl Publication {
    /// Those of `tables` that it does not carry.
    pub(crate) fn lacks<'a>(&self, tables: &'a [OutboxTable]) -> Vec<&'a OutboxTable> {
        let lacking = |table: &&OutboxTable| self.entry(table).is_none();
        tables.iter().filter(lacking).collect()
    }

    /// The columns of `table` that it carries; empty when it does not carry the table.
    pub(crate) fn columns_of(&self, table: &OutboxTable) -> &[String] {
        self.entry(table).map_or(&[], |entry| &entry.columns)
    }

    /// The condition for rows of `table` to be carried.
    pub(crate) fn row_filter_of(&self, table: &OutboxTable) -> Option<&str> {
        self.entry(table)?.row_filter.as_deref()
    }

    /// How many tables it carries that are not among `tables`, nor partitions of them.
    pub(crate) fn others_than(&self, tables: &[OutboxTable]) -> usize {
        let is_known = |schema: &str, name: &str| tables.iter().any(|table| table.is(schema, name));
        let is_other = |entry: &&PublishedTable| {
            let root = entry.root.as_ref();
            !is_known(&entry.schema, &entry.name)
                && !root.is_some_and(|(schema, name)| is_known(schema, name))
        };
        self.tables.iter().filter(is_other).count()
    }

    fn entry(&self, table: &OutboxTable) -> Option<&PublishedTable> {
        self.tables
            .iter()
            .find(|entry| table.is(&entry.schema, &entry.name))
    }
}
