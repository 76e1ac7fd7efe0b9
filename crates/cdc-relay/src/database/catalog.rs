//! What of schema `cdc` exists.

use super::{Database, value};
use crate::config::Config;
use crate::failure::{Context, Failure};
use crate::migrations::Part;

impl Database {
    /// True when schema `cdc` exists.
    pub(crate) async fn has_schema(&self, config: &Config) -> Result<bool, Failure> {
        let context = Context::new(config, "look for the schema cdc");
        let row = self
            .row(
                "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = 'cdc'",
                &[],
                context,
            )
            .await?;
        Ok(row.is_some())
    }

    /// Versions of the migrations of `part` that were applied.
    pub(crate) async fn applied_migrations(
        &self,
        part: Part,
        config: &Config,
    ) -> Result<Vec<i64>, Failure> {
        let history = part.history();
        let context = Context::new(config, "read which migrations were applied");
        let found = self
            .row(
                "SELECT pg_catalog.to_regclass($1) IS NOT NULL AS there",
                &[&history],
                context,
            )
            .await?;
        let there = found.map_or(Ok(false), |row| value(&row, "there"))?;
        if !there {
            return Ok(Vec::new());
        }
        let sql = format!("SELECT version::bigint AS version FROM {history}");
        self.rows(&sql, &[], context)
            .await?
            .iter()
            .map(|row| value(row, "version"))
            .collect()
    }
}
