//! Schema `cdc` and what the migrations of one part put into it.

use refinery::Migration;

use crate::config::Config;
use crate::database::Database;
use crate::failure::{Context, Failure};
use crate::migrations::{self, Part};
use crate::terminal::say;

const CREATE_SCHEMA: &str = "CREATE SCHEMA cdc";

/// What a database lacks of one part.
#[derive(Debug)]
pub(super) struct SchemaPlan {
    part: Part,
    schema_is_missing: bool,
    migrations: Vec<Migration>,
}

impl SchemaPlan {
    /// Looks at a database, whose settings `config` has, and changes nothing.
    pub(super) async fn make(
        part: Part,
        database: &Database,
        config: &Config,
    ) -> Result<Self, Failure> {
        Ok(Self {
            part,
            schema_is_missing: !database.has_schema(config).await?,
            migrations: migrations::pending(part, database, config).await?,
        })
    }

    /// The same after what `other` will have done to the same database.
    pub(super) fn after(self, other: &Self) -> Self {
        Self {
            schema_is_missing: self.schema_is_missing && !other.schema_is_missing,
            ..self
        }
    }

    /// True when every table and function is there.
    pub(super) fn has_all(&self) -> bool {
        self.migrations.is_empty()
    }

    /// The SQL of the plan, in order. It records what it does, so that a later `init` does not do it again.
    pub(super) fn statements(&self) -> Vec<String> {
        let schema = self.schema_is_missing.then(|| format!("{CREATE_SCHEMA};"));
        let migrations = self.migrations.iter().map(|migration| {
            format!(
                "-- migration {}\n{}\n\n{}",
                name(migration),
                migration.sql().unwrap_or_default().trim_end(),
                migrations::record(self.part, migration)
            )
        });
        schema.into_iter().chain(migrations).collect()
    }

    /// Makes the schema and applies the migrations.
    pub(super) async fn apply(
        &self,
        database: &mut Database,
        config: &Config,
    ) -> Result<(), Failure> {
        if self.schema_is_missing {
            database
                .execute(CREATE_SCHEMA, Context::new(config, "create the schema cdc"))
                .await?;
            say("created        schema cdc");
        } else {
            say("already there  schema cdc");
        }
        if self.has_all() {
            say(format!("already there  {}", self.contents()));
            return Ok(());
        }
        let report = migrations::apply(self.part, database).await?;
        for migration in report.applied_migrations() {
            say(format!("applied        migration {}", name(migration)));
        }
        Ok(())
    }

    fn contents(&self) -> &'static str {
        match self.part {
            Part::Outbox => "tables and functions of schema cdc",
            Part::Store => "store of failed events",
        }
    }
}

fn name(migration: &Migration) -> String {
    format!("V{}__{}", migration.version(), migration.name())
}
