//! What `init` finds, and what it will do about it.

use pg_replication::Session;

use super::publication::PublicationChange;
use super::schema::SchemaPlan;
use super::slot::SlotPlan;
use super::{outbox, publication, slot};
use crate::config::Config;
use crate::database::{Database, ServerFacts};
use crate::error_code::ErrorCode;
use crate::failure::{Context, Failure};
use crate::migrations::Part;

/// Everything that is missing. What is not missing is `None` or empty.
#[derive(Debug)]
pub(super) struct Plan {
    /// Tables and functions of the outbox.
    pub(super) schema: SchemaPlan,
    /// The change to the publication.
    pub(super) publication: Option<PublicationChange>,
    /// What happens to the slot.
    pub(super) slot: SlotPlan,
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
        let schema = SchemaPlan::make(Part::Outbox, database, config).await?;
        // The table cdc.outbox need not be there before its migration.
        if schema.has_all() {
            outbox::check(database, config).await?;
        } else {
            outbox::check_others(database, config).await?;
        }
        Ok(Self {
            schema,
            publication: publication::change(publication.as_ref(), config),
            slot: SlotPlan::new(slot.is_some(), config, &server),
        })
    }

    /// The SQL for publication and slot, in order.
    pub(super) fn streaming(&self) -> Vec<String> {
        let publication = self.publication.iter().map(|change| change.sql());
        let slot = self.slot.sql().into_iter();
        publication
            .chain(slot)
            .map(|sql| format!("{sql};"))
            .collect()
    }
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
