//! A database with an outbox, prepared by `cdc-relay init`, and relays that stream from it.

use std::time::Duration;

use anyhow::Result;
use cdc_e2e::database::{Database, DatabaseUrl, Session};
use cdc_e2e::relay::{self, Log, Relay, RelayOptions};
use cdc_e2e::services::Services;
use cdc_e2e::wait::{Look, until};

/// How long removing the slots may take.
const REMOVE: Duration = Duration::from_secs(20);

/// Type of the column `payload`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PayloadType {
    /// As `init` creates it.
    Json,
    /// As many applications have it; the walsender prints every value anew.
    Jsonb,
}

impl PayloadType {
    /// As SQL calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Jsonb => "jsonb",
        }
    }
}

/// A database of its own. [`remove`](Self::remove) it when done, else its slots keep the log.
#[derive(Debug)]
pub(crate) struct Outbox {
    database: Database,
    maintenance: DatabaseUrl,
    options: RelayOptions,
    log: Log,
}

impl Outbox {
    /// With the product's own table and publication, and one slot, which has the name of the database.
    pub(crate) async fn create(services: &Services, payload: PayloadType) -> Result<Self> {
        let database = Database::create(services).await?;
        let url = database.url().to_string();
        let options = RelayOptions::new(&url, services.kafka_brokers(), database.name());
        let outbox = Self {
            maintenance: DatabaseUrl::parse(services.database_url())?,
            database,
            options,
            log: Log::default(),
        };
        relay::run(&outbox.options, "init").await?;
        let payload = payload.name();
        let alter = format!("ALTER TABLE cdc.outbox ALTER COLUMN payload TYPE {payload}");
        outbox.session().await?.batch_execute(&alter).await?;
        Ok(outbox)
    }

    /// The database.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// A session as superuser.
    pub(crate) async fn session(&self) -> Result<Session> {
        self.database.session().await
    }

    /// The topic of aggregate type `order` when a relay streams from `slot`.
    pub(crate) fn topic(slot: &str) -> String {
        format!("{slot}.order")
    }

    /// One more slot, as `init` creates it.
    pub(crate) async fn add_slot(&self, slot: &str) -> Result<()> {
        relay::run(&self.options_for(slot), "init").await?;
        Ok(())
    }

    /// Starts a relay on `slot`, with the default settings and topics of its own.
    pub(crate) fn start_relay(&self, slot: &str) -> Result<Relay> {
        Relay::start(&self.options_for(slot), &self.log)
    }

    /// What the relays said last.
    pub(crate) fn log(&self) -> String {
        self.log.tail(20)
    }

    /// Drops the slots and the database. The relays must have ended.
    pub(crate) async fn remove(self) -> Result<()> {
        let session = Session::open(&self.maintenance).await?;
        let name = self.database.name();
        let drop_slots = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1";
        // A walsender outlives its client for a moment.
        until(REMOVE, "the slots to be dropped", async || {
            session.query(drop_slots, &[&name]).await?;
            Ok(Look::Ready(()))
        })
        .await?;
        Ok(session
            .batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
            .await?)
    }

    fn options_for(&self, slot: &str) -> RelayOptions {
        self.options
            .clone()
            .with("CDC_RELAY__SLOT", slot)
            .with("CDC_OUTBOX__TOPIC", format!("{slot}.${{routedByValue}}"))
    }
}
