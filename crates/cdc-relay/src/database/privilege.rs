//! What the role may do with a table.

use super::{Database, value};
use crate::config::Config;
use crate::failure::{Context, Failure};

/// A schema that may not be used hides its tables from `to_regclass`, so the catalog is asked.
const MAY_INSERT: &str = "
    SELECT pg_catalog.has_schema_privilege(schema.oid, 'USAGE')
           AND pg_catalog.has_table_privilege(relation.oid, 'INSERT') AS allowed
      FROM pg_catalog.pg_class relation
      JOIN pg_catalog.pg_namespace schema ON schema.oid = relation.relnamespace
     WHERE schema.nspname = $1::text::name AND relation.relname = $2::text::name";

/// The privileges among `$3` that the role does not have.
const LACKING: &str = "
    SELECT coalesce(array_agg(privilege) FILTER (WHERE NOT (
               pg_catalog.has_schema_privilege(schema.oid, 'USAGE')
               AND pg_catalog.has_table_privilege(relation.oid, privilege))), '{}') AS lacking
      FROM pg_catalog.pg_class relation
      JOIN pg_catalog.pg_namespace schema ON schema.oid = relation.relnamespace
     CROSS JOIN unnest($3::text[]) AS privilege
     WHERE schema.nspname = $1::text::name AND relation.relname = $2::text::name
     GROUP BY relation.oid";

impl Database {
    /// Which of the privileges this role lacks on the table or view; `None` when there is none of that name.
    pub(crate) async fn lacking_privileges(
        &self,
        schema: &str,
        table: &str,
        privileges: &[&str],
        config: &Config,
    ) -> Result<Option<Vec<String>>, Failure> {
        let context = Context::new(config, "look at a table");
        let row = self
            .row(LACKING, &[&schema, &table, &privileges], context)
            .await?;
        row.map(|row| value(&row, "lacking")).transpose()
    }

    /// Whether this role may write to the table; `None` when there is none of that name.
    pub(crate) async fn may_insert(
        &self,
        schema: &str,
        table: &str,
        config: &Config,
    ) -> Result<Option<bool>, Failure> {
        let context = Context::new(config, "look at a table");
        let row = self.row(MAY_INSERT, &[&schema, &table], context).await?;
        row.map(|row| value(&row, "allowed")).transpose()
    }
}
