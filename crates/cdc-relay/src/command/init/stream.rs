//! Publication and slot of one shard, or of the whole outbox.

use super::key::Keys;
use super::publication::{self, PublicationChange};
use super::slot::{self, SlotPlan};
use crate::config::Config;
use crate::database::{Database, ServerFacts};
use crate::failure::Failure;

/// What of them is missing.
#[derive(Debug)]
pub(in crate::command) struct StreamPlan {
    /// Of the shard.
    config: Config,
    publication: Option<PublicationChange>,
    slot: SlotPlan,
}

impl StreamPlan {
    /// Looks at both and changes nothing; `config` is that of the shard.
    ///
    /// # Errors
    ///
    /// A slot that cannot be used.
    pub(in crate::command) async fn make(
        config: Config,
        keys: &Keys,
        server: &ServerFacts,
        database: &Database,
    ) -> Result<Self, Failure> {
        let publication = database.publication(&config).await?;
        let slot = database.slot(&config).await?;
        slot::check(slot.as_ref(), publication.is_some(), &config)?;
        Ok(Self {
            publication: publication::change(publication.as_ref(), keys, &config),
            slot: SlotPlan::new(slot.is_some(), &config, server),
            config,
        })
    }

    /// Statements for the publication, then for the slot.
    pub(super) fn sql(&self) -> impl Iterator<Item = &str> {
        let publication = self.publication.iter().map(PublicationChange::sql);
        publication.chain(self.slot.sql())
    }

    /// To come before [`make_slot`](Self::make_slot).
    pub(in crate::command) async fn make_publication(
        &self,
        database: &Database,
    ) -> Result<(), Failure> {
        publication::apply(self.publication.as_ref(), database, &self.config).await
    }

    /// Waits for every transaction that has written and is open.
    pub(in crate::command) async fn make_slot(&self, database: &Database) -> Result<(), Failure> {
        slot::apply(&self.slot, database, &self.config).await
    }
}
