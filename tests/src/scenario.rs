//! Everything that one test needs, made in one line and gone at its end.

use std::process::{Command, Output};
use std::sync::Arc;

use anyhow::Result;

use crate::checkpoints::Checkpoints;
use crate::consumer::{Consumer, Isolation};
use crate::database::Database;
use crate::delivery::Delivery;
use crate::journal::Journal;
use crate::proxy::Proxy;
use crate::random;
use crate::relay::{self, Log, Relay, RelayOptions};
use crate::services::{Component, Instance, Services};
use crate::topics::Topics;
use crate::workload::{self, KEYS, Writer};

/// A database, topics and a slot of the test's own, prepared by `cdc-relay init`.
///
/// Make it first: what is dropped in the end must outlive the relays, writers and consumers.
#[derive(Debug)]
pub struct Scenario {
    options: RelayOptions,
    delivery: Delivery,
    journal: Journal,
    log: Log,
    show_log: bool,
    database: Database,
    topics: Topics,
    services: Arc<Services>,
}

impl Scenario {
    /// For a test, on the shared servers, which must not be broken. When this is dropped, the relays' last log lines go to
    /// stderr, which the test runner shows if the test has failed.
    ///
    /// # Errors
    /// Fails if the servers are down or `init` fails.
    pub async fn shared() -> Result<Self> {
        Ok(Self::on(Services::shared()?).await?.showing_log())
    }

    /// Like [`shared`](Self::shared), with `components` of its own, which may be broken.
    ///
    /// # Errors
    /// Fails if a server does not come up or `init` fails.
    pub async fn private(components: &[Component]) -> Result<Self> {
        Ok(Self::on(Services::private(components).await?)
            .await?
            .showing_log())
    }

    /// With the relays' last log lines on stderr when this is dropped.
    #[must_use]
    pub fn showing_log(mut self) -> Self {
        self.show_log = true;
        self
    }

    /// Like [`private`](Self::private), or [`shared`](Self::shared) if there are none to be broken.
    ///
    /// # Errors
    /// As theirs.
    pub async fn with_own(components: &[Component]) -> Result<Self> {
        match components {
            [] => Self::shared().await,
            components => Self::private(components).await,
        }
    }

    /// On the given servers, which several scenarios may share, keeping the relays' log to itself.
    ///
    /// # Errors
    /// Fails if a server is down or `init` fails.
    pub async fn on(services: impl Into<Arc<Services>>) -> Result<Self> {
        let services = services.into();
        let database = Database::create(&services).await?;
        let topics = Topics::below(database.name(), &services);
        let url = database.url().to_string();
        let options = RelayOptions::new(&url, services.kafka_brokers(), database.name());
        let delivery = Delivery::of_run()?;
        let options = options.delivering(delivery);
        let (journal, log) = (Journal::default(), Log::default());
        let show_log = false;
        let scenario = Self {
            options,
            delivery,
            journal,
            log,
            show_log,
            database,
            topics,
            services,
        };
        relay::run(&scenario.options, "init").await?;
        scenario
            .database
            .session()
            .await?
            .batch_execute(workload::MARKERS)
            .await?;
        Ok(scenario)
    }

    /// Sets a variable such as `CDC_RELAY__WIRE_TIMEOUT` for the relays that are started from now on.
    #[must_use]
    pub fn with(mut self, variable: &str, value: impl Into<String>) -> Self {
        self.options = self.options.clone().with(variable, value);
        self
    }

    /// Relays that are started from now on make this promise, by which consumers that are started from now on judge.
    #[must_use]
    pub fn delivering(mut self, delivery: Delivery) -> Self {
        self.options = self.options.clone().delivering(delivery);
        self.delivery = delivery;
        self
    }

    /// Relays that are started from now on reach PostgreSQL through `proxy`. Everything else goes there directly.
    #[must_use]
    pub fn through(self, proxy: &Proxy) -> Self {
        let url = self.database.url().through(proxy.address());
        self.with("CDC_POSTGRES__URL", url.to_string())
    }

    /// Runs `cdc-relay init` again, for settings that have changed since.
    ///
    /// # Errors
    /// Fails if its exit status is not 0; the error has what it said.
    pub async fn init(&self) -> Result<()> {
        relay::run(&self.options, "init").await.map(drop)
    }

    /// A command of `cdc-relay` with this scenario's settings, not yet started; arguments are words.
    ///
    /// # Errors
    /// Fails if there is no binary.
    pub fn command(&self, arguments: &str) -> Result<Command> {
        relay::command(&self.options, arguments)
    }

    /// Runs a command of `cdc-relay` that ends by itself; arguments are words.
    ///
    /// # Errors
    /// Fails if its exit status is not 0; the error has what it said.
    pub async fn run(&self, arguments: &str) -> Result<Output> {
        relay::run(&self.options, arguments).await
    }

    /// A relay that streams.
    ///
    /// # Errors
    /// Fails if it does not connect within 30 s.
    pub async fn relay(&self) -> Result<Relay> {
        let mut relay = self.start_relay()?;
        relay.until_phase("streaming").await?;
        Ok(relay)
    }

    /// A relay of one shard, from 0, that streams.
    ///
    /// # Errors
    /// As [`relay`](Self::relay).
    pub async fn relay_of_shard(&self, shard: u8) -> Result<Relay> {
        let arguments = format!("relay --shard {shard}");
        let mut relay = Relay::start_as(&arguments, &self.options, &self.log)?;
        relay.until_phase("streaming").await?;
        Ok(relay)
    }

    /// A relay that has only just been started.
    ///
    /// # Errors
    /// Fails if the binary cannot be run.
    pub fn start_relay(&self) -> Result<Relay> {
        Relay::start(&self.options, &self.log)
    }

    /// Another service of the program, such as `notify`, that has only just been started.
    ///
    /// # Errors
    /// Fails if the binary cannot be run.
    pub fn start(&self, arguments: &str) -> Result<Relay> {
        Relay::start_as(arguments, &self.options, &self.log)
    }

    /// A writer of all 500 keys.
    pub fn writer(&self) -> Writer {
        Writer::new(&self.database, &self.journal, KEYS, random::entropy())
    }

    /// `count` writers that share the keys; what they do follows from `seed`.
    pub fn writers(&self, count: u16, seed: u64) -> Vec<Writer> {
        let share = KEYS.end / count;
        let keys = (0..count).map(|n| n * share..(n + 1) * share);
        keys.zip(seed..)
            .map(|(keys, seed)| Writer::new(&self.database, &self.journal, keys, seed))
            .collect()
    }

    /// A consumer of all committed records, from the beginning.
    ///
    /// # Errors
    /// Fails if there is no thread or client to be had.
    pub fn consumer(&self) -> Result<Consumer> {
        self.consumer_of(Isolation::Committed)
    }

    /// A consumer of all topics, from the beginning.
    ///
    /// # Errors
    /// Fails if there is no thread or client to be had.
    pub fn consumer_of(&self, isolation: Isolation) -> Result<Consumer> {
        // Of aborted transactions nothing is promised to those who read them.
        let promise = match isolation {
            Isolation::Committed => self.delivery,
            Isolation::Everything => Delivery::AtLeastOnce,
        };
        let brokers = self.services.kafka_brokers();
        Consumer::start(brokers, &self.topics, &self.journal, isolation, promise)
    }

    /// What relays that are started now promise.
    pub fn delivery(&self) -> Delivery {
        self.delivery
    }

    /// What the relays have noted about how far they have come.
    pub fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(self.services.kafka_brokers(), self.topics.of_checkpoints())
    }

    /// What was promised and seen so far.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The broker's address.
    pub fn kafka_brokers(&self) -> &str {
        self.services.kafka_brokers()
    }

    /// The URL of the Redis server.
    ///
    /// # Errors
    /// Fails if there is none.
    pub fn redis_url(&self) -> Result<String> {
        self.services.redis_url()
    }

    /// The log of all relays.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The servers that may be broken.
    ///
    /// # Errors
    /// Fails if there are none.
    pub fn servers(&self) -> Result<&Instance> {
        self.services.instance()
    }
}

impl Drop for Scenario {
    #[expect(
        clippy::print_stderr,
        reason = "shown by the test runner if the test has failed"
    )]
    fn drop(&mut self) {
        if self.show_log {
            eprint!("{}", self.log.tail(100));
        }
    }
}
