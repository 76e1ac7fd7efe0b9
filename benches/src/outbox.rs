//! A database with an outbox, prepared by `cdc-relay init`, and relays that stream from it.

mod stream;

use std::time::Duration;

use anyhow::Result;
use cdc_e2e::database::{Database, DatabaseUrl, Session};
use cdc_e2e::relay::{self, Log, Relay, RelayOptions};
use cdc_e2e::services::Services;
use cdc_e2e::wait::{Look, until};

pub(crate) use stream::{Delivery, Stream};

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

/// One of the two parts that a row filter on the key leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    Even,
    Odd,
}

impl Half {
    /// Both, which have every row once.
    pub(crate) const BOTH: [Self; 2] = [Self::Even, Self::Odd];

    fn name(self) -> &'static str {
        match self {
            Self::Even => "even",
            Self::Odd => "odd",
        }
    }

    fn remainder(self) -> u8 {
        match self {
            Self::Even => 0,
            Self::Odd => 1,
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
    /// With the product's own table and publication, and one slot that nobody uses, which has the name of the database.
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

    /// A stream of every row, from a slot that is called after `purpose`.
    pub(crate) fn stream(&self, purpose: &str, delivery: Delivery) -> Stream {
        let name = self.database.name();
        Stream::new(format!("{name}_{purpose}"), name, delivery)
    }

    /// A stream of the rows in `half` only, once it is [published](Self::publish).
    pub(crate) fn stream_of(&self, half: Half, purpose: &str, delivery: Delivery) -> Stream {
        let slot = format!("{}_{purpose}_{}", self.database.name(), half.name());
        Stream::new(slot, &self.publication(half), delivery)
    }

    /// Makes the publication of `half`. Slots that are older don't know it.
    pub(crate) async fn publish(&self, half: Half) -> Result<()> {
        let (name, remainder) = (self.publication(half), half.remainder());
        let create = format!(
            "CREATE PUBLICATION {name} FOR TABLE cdc.outbox
             WHERE ((hashtext(coalesce(aggregateid, '')) & 1) = {remainder})
             WITH (publish = 'insert', publish_via_partition_root = true)"
        );
        Ok(self.session().await?.batch_execute(&create).await?)
    }

    /// Makes the slot of `stream`, as `init` does.
    pub(crate) async fn add_slot(&self, stream: &Stream) -> Result<()> {
        relay::run(&stream.options(&self.options), "init").await?;
        Ok(())
    }

    /// Starts a relay for `stream`, otherwise with the default settings.
    pub(crate) fn start_relay(&self, stream: &Stream) -> Result<Relay> {
        Relay::start(&stream.options(&self.options), &self.log)
    }

    /// Starts another service beside the relay of `stream`, such as `notify`, with settings of its own.
    pub(crate) fn start(
        &self,
        service: &str,
        stream: &Stream,
        settings: &[(&str, &str)],
    ) -> Result<Relay> {
        let mut options = stream.options(&self.options);
        for (name, value) in settings {
            options = options.with(name, *value);
        }
        Relay::start_as(service, &options, &self.log)
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

    fn publication(&self, half: Half) -> String {
        format!("{}_{}", self.database.name(), half.name())
    }
}
