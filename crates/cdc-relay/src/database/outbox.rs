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
    /// The indexes that each insert writes to.
    pub(crate) indexes: i32,
    /// Whether this role may read rows, and delete them.
    pub(crate) may_select: bool,
    pub(crate) may_delete: bool,
    /// For a partitioned table.
    pub(crate) partitions: Partitions,
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
    /// Whether a row may leave it empty.
    pub(crate) nullable: bool,
}

/// The partitions of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Partitions {
    /// How many there are that hold rows.
    pub(crate) leaves: i64,
    /// How rows are spread, such as `RANGE (created_at)`.
    pub(crate) key: Option<String>,
    /// Whether rows that fit no other have a place.
    pub(crate) has_default: bool,
    /// Whether the first level is by range of one column, which is this.
    pub(crate) range_column: Option<String>,
    /// Whether this role may drop them.
    pub(crate) owned: bool,
}

const COLUMNS: &str = "SELECT relation.relkind = 'p' AS partitioned, relation.relpersistence <> 'p' AS unlogged,
           attribute.attname::text AS name, pg_catalog.format_type(attribute.atttypid, NULL) AS type_name,
           NOT attribute.attnotnull AS nullable,
           (SELECT count(*)::int FROM pg_catalog.pg_index WHERE indrelid = relation.oid) AS indexes,
           pg_catalog.has_schema_privilege(schema.oid, 'USAGE')
           AND pg_catalog.has_table_privilege(relation.oid, 'SELECT') AS may_select,
           pg_catalog.has_schema_privilege(schema.oid, 'USAGE')
           AND pg_catalog.has_table_privilege(relation.oid, 'DELETE') AS may_delete
      FROM pg_catalog.pg_class relation
      JOIN pg_catalog.pg_namespace schema ON schema.oid = relation.relnamespace
      JOIN pg_catalog.pg_attribute attribute
        ON attribute.attrelid = relation.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
     WHERE schema.nspname = $1::text::name AND relation.relname = $2::text::name
       AND relation.relkind IN ('r', 'p')
     ORDER BY attribute.attnum";

const PARTITIONS: &str = "
    SELECT (SELECT count(*) FROM pg_catalog.pg_partition_tree(partrelid) WHERE isleaf) AS leaves,
           pg_catalog.pg_get_partkeydef(partrelid) AS key, partdefid <> 0 AS has_default,
           (SELECT attname::text FROM pg_catalog.pg_attribute
             WHERE partstrat = 'r' AND partnatts = 1 AND attrelid = partrelid AND attnum = partattrs[0]) AS range_column,
           pg_catalog.pg_has_role(relation.relowner, 'USAGE') AS owned
      FROM pg_catalog.pg_partitioned_table
      JOIN pg_catalog.pg_class relation ON relation.oid = partrelid
      JOIN pg_catalog.pg_namespace schema ON schema.oid = relation.relnamespace
     WHERE schema.nspname = $1::text::name AND relation.relname = $2::text::name";

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
                    nullable: value(row, "nullable")?,
                })
            })
            .collect();
        Ok(Some(OutboxShape {
            partitioned: value(first, "partitioned")?,
            unlogged: value(first, "unlogged")?,
            indexes: value(first, "indexes")?,
            may_select: value(first, "may_select")?,
            may_delete: value(first, "may_delete")?,
            partitions: self.partitions(table, context).await?,
            columns: columns?,
        }))
    }

    async fn partitions(
        &self,
        table: &OutboxTable,
        context: Context<'_>,
    ) -> Result<Partitions, Failure> {
        let Some(row) = self
            .row(PARTITIONS, &[&table.schema(), &table.name()], context)
            .await?
        else {
            return Ok(Partitions::default());
        };
        Ok(Partitions {
            leaves: value(&row, "leaves")?,
            key: value(&row, "key")?,
            has_default: value(&row, "has_default")?,
            range_column: value(&row, "range_column")?,
            owned: value(&row, "owned")?,
        })
    }
}

impl OutboxShape {
    /// The column called `name`.
    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}
