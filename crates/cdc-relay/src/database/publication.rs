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
    /// Schema, name and columns of every table in it.
    tables: Vec<(String, String, Vec<String>)>,
}

const PUBLICATION: &str = "SELECT pubinsert AS inserts, pubviaroot AS via_root
      FROM pg_catalog.pg_publication WHERE pubname = $1::text::name";

const TABLES: &str =
    "SELECT schemaname::text AS schema, tablename::text AS name, attnames::text[] AS columns
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
                let columns = value::<Option<Vec<String>>>(row, "columns")?.unwrap_or_default();
                Ok((value(row, "schema")?, value(row, "name")?, columns))
            })
            .collect();
        Ok(Some(Publication {
            inserts: value(&row, "inserts")?,
            via_root: value(&row, "via_root")?,
            tables: tables?,
        }))
    }
}

impl Publication {
    /// Those of `tables` that it does not carry under their own name.
    pub(crate) fn lacks<'a>(&self, tables: &'a [OutboxTable]) -> Vec<&'a OutboxTable> {
        let carries = |table: &&OutboxTable| {
            self.tables
                .iter()
                .any(|(schema, name, _)| table.is(schema, name))
        };
        tables.iter().filter(|table| !carries(table)).collect()
    }

    /// The columns of `table` that it carries; empty when it does not carry the table.
    pub(crate) fn columns_of(&self, table: &OutboxTable) -> &[String] {
        let found = self
            .tables
            .iter()
            .find(|(schema, name, _)| table.is(schema, name));
        found.map_or(&[], |(_, _, columns)| columns)
    }
}
