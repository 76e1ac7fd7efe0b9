//! Whole partitions.
//!
//! A partition may go when no row of the present can ever belong to it: its parent is partitioned by range of the time
//! column, and its upper bound is older than the age. So a default partition, hash and list partitions, and partitions of
//! the future stay, however empty they are. Only an owner can drop partitions: for others their rows are removed.

use std::collections::HashSet;

use metrics::counter;
use tokio_postgres::error::SqlState;

use super::horizon::Horizon;
use super::{Removed, Retention};
use crate::config::{OutboxTable, quote_identifier};
use crate::database::{Database, value};
use crate::failure::Failure;
use crate::metric;

/// Inserts queue behind a lock that is being waited for, so this waits only a moment. To look through a partition takes
/// longer, and keeps nobody from writing to the others.
const SETTINGS: &str = "SET LOCAL lock_timeout = '200ms'; SET LOCAL statement_timeout = '60s'";

/// Partitions whose upper bound has passed the age, from the root down. `pg_get_expr` writes a bound so that this
/// session reads the same time from it.
const EXPIRED: &str = r"
    SELECT schema.nspname::text AS schema, relation.relname::text AS name,
           parent_schema.nspname::text AS parent_schema, parent.relname::text AS parent
      FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass($1)) tree
      JOIN pg_catalog.pg_class relation ON relation.oid = tree.relid
      JOIN pg_catalog.pg_namespace schema ON schema.oid = relation.relnamespace
      JOIN pg_catalog.pg_class parent ON parent.oid = tree.parentrelid
      JOIN pg_catalog.pg_namespace parent_schema ON parent_schema.oid = parent.relnamespace
      JOIN pg_catalog.pg_partitioned_table partitioned ON partitioned.partrelid = parent.oid
      JOIN pg_catalog.pg_attribute attribute
        ON attribute.attrelid = parent.oid AND attribute.attnum = partitioned.partattrs[0]
     WHERE pg_catalog.pg_has_role(relation.relowner, 'USAGE') AND pg_catalog.pg_has_role(parent.relowner, 'USAGE')
       AND partitioned.partstrat = 'r' AND partitioned.partnatts = 1 AND attribute.attname = $2::text::name
       AND CASE WHEN attribute.atttypid IN ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)
                THEN substring(pg_catalog.pg_get_expr(relation.relpartbound, relation.oid)
                               FROM 'TO \(''([^'']+)''\)$')::timestamptz
                     <= pg_catalog.now() - pg_catalog.make_interval(secs => $3::float8)
           END
     ORDER BY tree.level";

/// A partition and the table that it is a part of, as SQL text.
struct Expired {
    partition: String,
    parent: String,
}

impl<F: Fn() -> bool> Retention<'_, F> {
    /// Drops the partitions of `table` that have expired and hold nothing but rows that may go.
    pub(super) async fn drop_partitions(
        &self,
        table: &OutboxTable,
        horizon: &Horizon,
        database: &mut Database,
    ) -> Result<Removed, Failure> {
        let expired = self.expired(table, database).await?;
        let mut gone: HashSet<&str> = HashSet::new();
        let mut removed = 0;
        for Expired { partition, parent } in &expired {
            if !self.is_active() {
                break;
            }
            // With its parent, if that is gone.
            if gone.contains(parent.as_str()) {
                gone.insert(partition);
                continue;
            }
            match self
                .drop_partition(partition, parent, horizon, database)
                .await
            {
                Ok(Some(rows)) => {
                    counter!(metric::REMOVED_ROWS).increment(rows);
                    counter!(metric::DROPPED_PARTITIONS).increment(1);
                    tracing::info!(%table, partition, rows, "dropped an old outbox partition");
                    gone.insert(partition);
                    removed += rows;
                }
                Ok(None) => {}
                Err(error) if is_busy(&error) => {
                    tracing::debug!(%table, partition, "in use; to be dropped later");
                }
                Err(error) => return Err(self.failure(error, table)),
            }
        }
        Ok(removed)
    }

    async fn expired(
        &self,
        table: &OutboxTable,
        database: &mut Database,
    ) -> Result<Vec<Expired>, Failure> {
        let column = &self.config.outbox.retention_column;
        let found = database
            .raw()
            .query(EXPIRED, &[&table.quoted(), column, &self.age.as_secs_f64()])
            .await;
        let rows = found.map_err(|error| self.failure(error, table))?;
        let quoted = |row, schema, name| -> Result<String, Failure> {
            let (schema, name): (&str, &str) = (value(row, schema)?, value(row, name)?);
            Ok(format!(
                "{}.{}",
                quote_identifier(schema),
                quote_identifier(name)
            ))
        };
        rows.iter()
            .map(|row| {
                Ok(Expired {
                    partition: quoted(row, "schema", "name")?,
                    parent: quoted(row, "parent_schema", "parent")?,
                })
            })
            .collect()
    }

    /// `None` when a row has to stay.
    ///
    /// The partition is locked against writers before it is looked through: what may go then still may when it goes.
    async fn drop_partition(
        &self,
        partition: &str,
        parent: &str,
        horizon: &Horizon,
        database: &mut Database,
    ) -> Result<Option<Removed>, tokio_postgres::Error> {
        let column = quote_identifier(&self.config.outbox.retention_column);
        let look = format!(
            "SELECT count(*) AS rows, count(*) FILTER (WHERE (
                    {column} < pg_catalog.now() - pg_catalog.make_interval(secs => $1::float8)
                    AND pg_catalog.age(xmin) > pg_catalog.age($2::text::xid)) IS NOT TRUE) AS stay
               FROM {partition}"
        );
        let transaction = database.raw().transaction().await?;
        transaction.batch_execute(SETTINGS).await?;
        transaction
            .batch_execute(&format!("LOCK TABLE {partition} IN SHARE MODE"))
            .await?;
        let row = transaction
            .query_one(&look, &[&self.age.as_secs_f64(), &horizon.as_str()])
            .await?;
        let (rows, stay): (i64, i64) = (row.try_get("rows")?, row.try_get("stay")?);
        if stay > 0 {
            return Ok(None);
        }
        transaction
            .batch_execute(&format!(
                "ALTER TABLE {parent} DETACH PARTITION {partition}; DROP TABLE {partition}"
            ))
            .await?;
        transaction.commit().await?;
        Ok(Some(rows.unsigned_abs()))
    }
}

/// Somebody uses the table: not an error, there is time.
fn is_busy(error: &tokio_postgres::Error) -> bool {
    matches!(
        error.code(),
        Some(&SqlState::LOCK_NOT_AVAILABLE | &SqlState::T_R_DEADLOCK_DETECTED)
    )
}
