//! An outbox table as the server has it.

use super::{Database, value};
use crate::config::{Config, OutboxTable};
use crate::failure::{Context, Failure};

/// The columns of an existing table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutboxShape {
    /// True for a partitioned table.
    pub(crate) partitioned: bool,
    /// True when inserts write no log.
    pub(crate) unlogged: bool,
    /// Its columns.
    pub(crate) columns: Vec<Column>,
}

/// A column's name and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    /// Its name.
    pub(crate) name: String,
    /// Its type, such as `jsonb`.
    pub(crate) type_name: String,
}

const COLUMNS: &str = "SELECT relation.relkind = 'p' AS partitioned, relation.relpersistence <> 'p' AS unlogged,
           attribute.attname::text AS name, pg_catalog.format_type(attribute.atttypid, NULL) AS type_name
      FROM pg_catalog.pg_class relation
      JOIN pg_catalog.pg_namespace schema ON schema.oid = relation.relnamespace
      JOIN pg_catalog.pg_attribute attribute
        ON attribute.attrelid = relation.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
     WHERE schema.nspname = $1::text::name AND relation.relname = $2::text::name
       AND relation.relkind IN ('r', 'p')
     ORDER BY attribute.attnum";

impl Database {
    /// The table's columns; `None` when no such table exists.
    pub(crate) async fn outbox(
        &self,
        table: &OutboxTable,
        config: &Config,
    ) -> Result<Option<OutboxShape>, Failure> {
        let context = Context::new(config, "look at an outbox table");
        let rows = self
            .rows(COLUMNS, &[&table.schema(), &table.name()], context)
            .await?;
        let Some(first) = rows.first() else {
            return Ok(None);
        };
        let columns: Result<Vec<_>, Failure> = rows
            .iter()
            .map(|row| {
                Ok(Column {
                    name: value(row, "name")?,
                    type_name: value(row, "type_name")?,
                })
            })
            .collect();
        Ok(Some(OutboxShape {
            partitioned: value(first, "partitioned")?,
            unlogged: value(first, "unlogged")?,
            columns: columns?,
        }))
    }
}

impl OutboxShape {
    /// The column called `name`.
    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}
