//! The stores, in the outbox's database or in one of their own.

use super::plan::Plan;
use super::schema::SchemaPlan;
use crate::config::Config;
use crate::database::Database;
use crate::failure::Failure;
use crate::migrations::Part;
use crate::terminal::say;

/// What the database of the stores lacks.
#[derive(Debug)]
pub(super) struct Store {
    database: Database,
    /// With that database's settings.
    config: Config,
    schema: SchemaPlan,
}

impl Store {
    /// Looks at the database and changes nothing. `plan` comes before it.
    pub(super) async fn look(plan: &Plan, config: &Config) -> Result<Self, Failure> {
        let config = config.at_store();
        let database = Database::connect(&config).await?;
        let mut schema = SchemaPlan::make(Part::Store, &database, &config).await?;
        if !config.postgres.has_store_url() {
            schema = schema.after(&plan.schema);
        }
        Ok(Self {
            database,
            config,
            schema,
        })
    }

    /// The SQL, in order, with where to run it.
    pub(super) fn statements(&self) -> Vec<String> {
        let mut statements = self.schema.statements();
        if self.config.postgres.has_store_url() && !statements.is_empty() {
            let target = self.config.postgres.options().target();
            statements.insert(0, format!("-- in the database of the stores, {target}:"));
        }
        statements
    }

    /// Makes what is missing.
    pub(super) async fn apply(&mut self) -> Result<(), Failure> {
        if self.config.postgres.has_store_url() {
            say(format!(
                "in the database of the stores, {}:",
                self.config.postgres.options().target()
            ));
        }
        self.schema.apply(&mut self.database, &self.config).await
    }
}
