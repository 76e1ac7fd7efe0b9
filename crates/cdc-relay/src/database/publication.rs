//! The publication as the server has it.

use super::{Database, value};
use crate::config::{Config, OutboxTable};
use crate::failure::{Context, Failure};

/// A publication and the tables whose changes it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Publication {
    /// Whether it carries inserts.
    pub(crate) inserts: bool,
    /// Whether changes of a partition are those of its root table.
    pub(crate) via_root: bool,
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
    /// The columns that are published.
    columns: Vec<String>,
    /// Only rows for which this holds are published.
    row_filter: Option<String>,
}

const PUBLICATION: &str =
    "SELECT pubinsert AS inserts, pubviaroot AS via_root, puballtables AS all_tables,
           pubupdate OR pubdelete OR pubtruncate AS other_changes
      FROM pg_catalog.pg_publication WHERE pubname = $1::text::name";

const TABLES: &str =
    "SELECT schemaname::text AS schema, tablename::text AS name, attnames::text[] AS columns, rowfilter
      FROM pg_catalog.pg_publication_tables WHERE pubname = $1::text::name";

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
                    columns: value::<Option<Vec<String>>>(row, "columns")?.unwrap_or_default(),
                    row_filter: value(row, "rowfilter")?,
                })
            })
            .collect();
        Ok(Some(Publication {
            inserts: value(&row, "inserts")?,
            via_root: value(&row, "via_root")?,
            other_changes: value(&row, "other_changes")?,
            all_tables: value(&row, "all_tables")?,
            tables: tables?,
        }))
    }
}

impl Publication {
    /// Those of `tables` that it does not carry under their own name.
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

    /// How many tables it carries that are not among `tables`.
    pub(crate) fn others_than(&self, tables: &[OutboxTable]) -> usize {
        let is_other = |entry: &&PublishedTable| {
            !tables
                .iter()
                .any(|table| table.is(&entry.schema, &entry.name))
        };
        self.tables.iter().filter(is_other).count()
    }

    fn entry(&self, table: &OutboxTable) -> Option<&PublishedTable> {
        self.tables
            .iter()
            .find(|entry| table.is(&entry.schema, &entry.name))
    }
}
