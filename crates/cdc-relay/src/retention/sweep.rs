//! Rows, a few at a time.
//!
//! The table is read in pieces by physical place, which needs no index: an index on the time would cost the walsender a
//! record for each event.

use std::time::Duration;

use metrics::counter;
use tokio::time::sleep;

use super::horizon::Horizon;
use super::{Removed, Retention};
use crate::config::{OutboxTable, quote_identifier};
use crate::database::{Database, value};
use crate::failure::Failure;
use crate::metric;

/// Rows that one statement removes at most.
const BATCH: u64 = 1_000;
/// Pages that one statement looks at: 2 MiB.
const PIECE: i64 = 256;
/// After a statement that removed rows, and after one that found none.
const PAUSE: Duration = Duration::from_millis(50);
const GLANCE_PAUSE: Duration = Duration::from_millis(10);

/// The table itself, or the partitions that hold its rows.
const LEAVES: &str = "
    SELECT schema.nspname::text AS schema, relation.relname::text AS name,
           pg_catalog.pg_relation_size(relation.oid) / current_setting('block_size')::bigint AS pages
      FROM pg_catalog.pg_class relation
      JOIN pg_catalog.pg_namespace schema ON schema.oid = relation.relnamespace
     WHERE relation.relkind = 'r' AND relation.oid IN (
           SELECT pg_catalog.to_regclass($1)
           UNION ALL
           SELECT relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass($1)) WHERE isleaf)";

/// A table that holds rows.
struct Leaf {
    /// As SQL text.
    quoted: String,
    pages: i64,
}

impl<F: Fn() -> bool> Retention<'_, F> {
    /// Reads all of `table` once and removes what may go.
    pub(super) async fn sweep(
        &self,
        table: &OutboxTable,
        horizon: &Horizon,
        database: &mut Database,
    ) -> Result<Removed, Failure> {
        let mut removed = 0;
        for leaf in self.leaves(table, database).await? {
            removed += self.sweep_leaf(table, &leaf, horizon, database).await?;
        }
        Ok(removed)
    }

    async fn leaves(
        &self,
        table: &OutboxTable,
        database: &mut Database,
    ) -> Result<Vec<Leaf>, Failure> {
        let found = database.raw().query(LEAVES, &[&table.quoted()]).await;
        let rows = found.map_err(|error| self.failure(error, table))?;
        rows.iter()
            .map(|row| {
                let (schema, name): (&str, &str) = (value(row, "schema")?, value(row, "name")?);
                Ok(Leaf {
                    quoted: format!("{}.{}", quote_identifier(schema), quote_identifier(name)),
                    pages: value(row, "pages")?,
                })
            })
            .collect()
    }

    async fn sweep_leaf(
        &self,
        table: &OutboxTable,
        leaf: &Leaf,
        horizon: &Horizon,
        database: &mut Database,
    ) -> Result<Removed, Failure> {
        let told = |error| self.failure(error, table);
        let client = database.raw();
        let sql = removal(&leaf.quoted, &self.config.outbox.retention_column);
        let statement = client.prepare(&sql).await.map_err(told)?;
        let mut removed = 0;
        let mut page = 0;
        while page < leaf.pages {
            if !self.is_active() {
                break;
            }
            let (from, to) = (format!("({page},0)"), format!("({},0)", page + PIECE));
            let gone = client
                .execute(
                    &statement,
                    &[&from, &to, &self.age.as_secs_f64(), &horizon.as_str()],
                )
                .await
                .map_err(told)?;
            counter!(metric::REMOVED_ROWS).increment(gone);
            removed += gone;
            if gone < BATCH {
                page += PIECE;
            }
            sleep(if gone > 0 { PAUSE } else { GLANCE_PAUSE }).await;
        }
        Ok(removed)
    }
}

/// A row that was updated meanwhile is another row by then, with a younger `xmin`: the outer condition spares it.
fn removal(leaf: &str, column: &str) -> String {
    let column = quote_identifier(column);
    let may_go = |row: &str| {
        format!(
            "{row}.{column} < pg_catalog.now() - pg_catalog.make_interval(secs => $3::float8) \
             AND pg_catalog.age({row}.xmin) > pg_catalog.age($4::text::xid)"
        )
    };
    format!(
        "DELETE FROM ONLY {leaf} AS gone
          WHERE gone.ctid = ANY (ARRAY(
                SELECT old.ctid FROM ONLY {leaf} AS old
                 WHERE old.ctid >= $1::text::tid AND old.ctid < $2::text::tid AND {}
                 LIMIT {BATCH}))
            AND {}",
        may_go("old"),
        may_go("gone"),
    )
}
