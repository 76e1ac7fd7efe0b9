//! The servers that a test talks to: the shared ones of `make services-up`, or an instance of its own that it may break.

mod certificates;
mod cluster;
mod instance;
mod secured_kafka;
mod settings;
mod version;

use std::path::PathBuf;

use anyhow::{Context, Result};

pub use certificates::{Authority, Credentials, Validity};
pub use cluster::Cluster;
pub use instance::Instance;
pub use secured_kafka::{SecuredKafka, User};
use settings::Settings;
pub use settings::checkout;
pub use version::Version;

/// A server of `scripts/services`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    /// The database.
    Postgres,
    /// The broker.
    Kafka,
    /// The store of the coupon service's tickets, which forgets them when it ends.
    Redis,
}

impl Component {
    /// As `scripts/services` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Kafka => "kafka",
            Self::Redis => "redis",
        }
    }
}

/// One PostgreSQL, one Kafka and one Redis.
#[derive(Debug)]
pub struct Services {
    database_url: String,
    kafka_brokers: String,
    instance: Option<Instance>,
    /// The database is a [`Cluster`]'s, with which everything in it goes.
    on_cluster: bool,
}

impl Services {
    /// The servers that all tests share; nobody may stop them.
    ///
    /// # Errors
    /// Fails unless `DATABASE_URL` and `KAFKA_BROKERS` are set or `make services-up` has written `.services/env`.
    pub fn shared() -> Result<Self> {
        Ok(Self::at(
            Settings::shared_value("DATABASE_URL")?,
            Settings::shared_value("KAFKA_BROKERS")?,
        ))
    }

    /// The shared Kafka, and a PostgreSQL that must outlive what is made on it.
    ///
    /// # Errors
    /// As [`shared`](Self::shared).
    pub fn with_postgres(cluster: &Cluster) -> Result<Self> {
        let kafka_brokers = Settings::shared_value("KAFKA_BROKERS")?;
        Ok(Self {
            on_cluster: true,
            ..Self::at(cluster.url(), kafka_brokers)
        })
    }

    /// Servers that somebody else starts and stops.
    fn at(database_url: String, kafka_brokers: String) -> Self {
        Self {
            database_url,
            kafka_brokers,
            instance: None,
            on_cluster: false,
        }
    }

    /// Servers of the test's own for `components`, and the shared ones for the rest. Destroyed when dropped.
    ///
    /// # Errors
    /// Fails if they don't come up; the error has what `scripts/services` said.
    pub async fn private(components: &[Component]) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("cdc-e2e.")
            .tempdir()?
            .keep();
        Self::with_instance(Instance::start(dir, components, false).await?)
    }

    /// A Kafka of the test's own with more lines of server.properties, `;` between them, and the shared PostgreSQL.
    /// Destroyed when dropped.
    ///
    /// # Errors
    /// Fails if it does not come up; the error has what `scripts/services` said.
    pub async fn private_kafka(properties: &str) -> Result<Self> {
        let properties = vec![("KAFKA_CONF", properties.to_owned())];
        let dir = tempfile::Builder::new()
            .prefix("cdc-e2e.")
            .tempdir()?
            .keep();
        let kafka = Instance::start_with(dir, &[Component::Kafka], properties, false);
        Self::with_instance(kafka.await?)
    }

    /// Like [`private`](Self::private) with everything in `dir`, saying on stdout what it takes to start it; with `keep` the
    /// servers stay when dropped.
    ///
    /// # Errors
    /// Fails if they don't come up; the error has what `scripts/services` said.
    pub async fn in_dir(dir: PathBuf, keep: bool) -> Result<Self> {
        let all = [Component::Postgres, Component::Kafka, Component::Redis];
        let mut instance = Instance::start(dir, &all, true).await?;
        instance.keep(keep);
        Self::with_instance(instance)
    }

    fn with_instance(instance: Instance) -> Result<Self> {
        let own = instance.settings()?;
        let find = |component: Component, name| {
            if instance.has(component) {
                own.require(name)
            } else {
                Settings::shared_value(name)
            }
        };
        Ok(Self {
            database_url: find(Component::Postgres, "DATABASE_URL")?,
            kafka_brokers: find(Component::Kafka, "KAFKA_BROKERS")?,
            instance: Some(instance),
            on_cluster: false,
        })
    }

    /// The URL of the maintenance database, with a superuser.
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// The broker's address.
    pub fn kafka_brokers(&self) -> &str {
        &self.kafka_brokers
    }

    /// The URL of the Redis server.
    ///
    /// # Errors
    /// Fails if there is none.
    pub fn redis_url(&self) -> Result<String> {
        match &self.instance {
            Some(own) if own.has(Component::Redis) => own.settings()?.require("REDIS_URL"),
            Some(_) | None => Settings::shared_value("REDIS_URL"),
        }
    }

    /// The servers that may be killed and frozen.
    ///
    /// # Errors
    /// Fails if these are the shared servers.
    pub fn instance(&self) -> Result<&Instance> {
        self.instance
            .as_ref()
            .context("the shared servers must not be broken: ask for private ones")
    }

    /// Whether `component` is nobody else's, so that nothing in it needs to be cleaned up.
    pub fn is_private(&self, component: Component) -> bool {
        let own = self.instance.as_ref();
        own.is_some_and(|instance| instance.has(component))
            || self.on_cluster && component == Component::Postgres
    }
}
