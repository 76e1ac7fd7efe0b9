//! What `init` finds, and what it will do about it.

use pg_replication::Session;
use refinery::Migration;

use super::publication::PublicationChange;
use super::slot::NewSlot;
use super::{outbox, publication, slot};
use crate::config::Config;
use crate::database::{Database, ServerFacts};
use crate::error_code::ErrorCode;
use crate::failure::{Context, Failure};
use crate::migrations;
use crate::terminal::say;

const CREATE_SCHEMA: &str = "CREATE SCHEMA cdc";

/// Everything that is missing. What is not missing is `None` or empty.
#[derive(Debug)]
pub(super) struct Plan {
    schema: Option<&'static str>,
    migrations: Vec<Migration>,
    /// The change to the publication.
    pub(super) publication: Option<PublicationChange>,
    /// The slot to make.
    pub(super) slot: Option<NewSlot>,
}

impl Plan {
    /// Looks at everything and changes nothing.
    ///
    /// # Errors
    ///
    /// What `init` cannot repair, such as a server setting or a slot that is older than its publication.
    pub(super) async fn make(database: &Database, config: &Config) -> Result<Self, Failure> {
        let server = database.server(config).await?;
        check_server(&server)?;
        check_replication(config).await?;
        let publication = database.publication(config).await?;
        let slot = database.slot(config).await?;
        slot::check(slot.as_ref(), publication.is_some(), config)?;
        let pending = migrations::pending(database, config).await?;
        // The table cdc.outbox need not be there before its migration.
        if pending.is_empty() {
            outbox::check(database, config).await?;
        } else {
            outbox::check_others(database, config).await?;
        }
        Ok(Self {
            schema: (!database.has_schema(config).await?).then_some(CREATE_SCHEMA),
            migrations: pending,
            publication: publication::change(publication.as_ref(), config),
            slot: slot.is_none().then(|| NewSlot::new(config, &server)),
        })
    }

    /// True when the database has everything.
    pub(super) fn is_empty(&self) -> bool {
        self.statements().is_empty()
    }

    /// The SQL of the plan, in order.
    pub(super) fn statements(&self) -> Vec<String> {
        let mut statements: Vec<String> = self
            .schema
            .map(|sql| format!("{sql};"))
            .into_iter()
            .collect();
        for migration in &self.migrations {
            let sql = migration.sql().unwrap_or_default().trim_end();
            statements.push(format!(
                "-- migration {}, recorded in {}\n{sql}",
                name(migration),
                migrations::HISTORY
            ));
        }
        statements.extend(
            self.publication
                .iter()
                .map(|change| format!("{};", change.sql())),
        );
        statements.extend(self.slot.iter().map(|slot| format!("{};", slot.sql())));
        statements
    }
}

/// Makes the schema and applies the migrations.
pub(super) async fn migrate(
    plan: &Plan,
    database: &mut Database,
    config: &Config,
) -> Result<(), Failure> {
    if let Some(sql) = plan.schema {
        database
            .execute(sql, Context::new(config, "create the schema cdc"))
            .await?;
        say("created        schema cdc");
    } else {
        say("already there  schema cdc");
    }
    if plan.migrations.is_empty() {
        say("already there  tables and functions of schema cdc");
        return Ok(());
    }
    let report = migrations::apply(database).await?;
    for migration in report.applied_migrations() {
        say(format!("applied        migration {}", name(migration)));
    }
    Ok(())
}

fn name(migration: &Migration) -> String {
    format!("V{}__{}", migration.version(), migration.name())
}

fn check_server(server: &ServerFacts) -> Result<(), Failure> {
    if let Some(failure) = server.too_old() {
        return Err(failure);
    }
    if let Some(failure) = server.wrong_wal_level() {
        return Err(failure);
    }
    Ok(())
}

/// A replication session shows what no query can: poolers, `pg_hba.conf`, and the role's right to replicate.
async fn check_replication(config: &Config) -> Result<(), Failure> {
    let context = Context::new(config, "open a replication session");
    let told = |error| Failure::from_postgres(error, context);
    let options = config.postgres.options();
    let mut session = Session::connect(&options).await.map_err(told)?;
    let identity = session.identify_system().await.map_err(told)?;
    match identity.database {
        Some(_) => Ok(()),
        None => Err(Failure::new(
            ErrorCode::Pooler,
            "the replication session has no database, although one was asked for; something between drops it",
            "let `postgres.url` lead to PostgreSQL itself, not to a pooler or proxy",
        )),
    }
}
