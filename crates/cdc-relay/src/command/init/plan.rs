//! What `init` finds, and what it will do about it.

use pg_replication::Session;

use super::key::Keys;
use super::outbox;
use super::schema::SchemaPlan;
use super::stream::StreamPlan;
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
    /// Publication and slot of each shard.
    pub(super) streams: Vec<StreamPlan>,
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
        no_other_shards(database, config).await?;
        let keys = Keys::look(database, config).await?;
        let mut streams = Vec::new();
        for shard in config.shards() {
            streams.push(StreamPlan::make(shard, &keys, &server, database).await?);
        }
        let schema = SchemaPlan::make(Part::Outbox, database, config).await?;
        // The table cdc.outbox need not be there before its migration.
        if schema.has_all() {
            outbox::check(database, config).await?;
        } else {
            outbox::check_others(database, config).await?;
        }
        Ok(Self { schema, streams })
    }

    /// The SQL for publications and slots, in order.
    pub(super) fn streaming(&self) -> Vec<String> {
        let statements = self.streams.iter().flat_map(StreamPlan::sql);
        statements.map(|sql| format!("{sql};")).collect()
    }
}

/// New slots beside those of another number of shards would begin at another place than these have come to.
async fn no_other_shards(database: &Database, config: &Config) -> Result<(), Failure> {
    let (configured, slots) = (config.relay.shards, database.shard_slots(config).await?);
    match slots.iter().find(|(_, shard)| shard.of() != configured) {
        Some((slot, shard)) => Err(Failure::other_shards(
            format!(
                "`relay.shards` is {configured}, and there is the slot {slot:?}, one of {} that share the outbox",
                shard.of()
            ),
            configured,
            shard.of(),
        )),
        None => Ok(()),
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
