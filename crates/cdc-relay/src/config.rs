//! The configuration: compiled-in defaults, then a file, then the environment, then flags.
//!
//! Every key exists in `config/default.toml`, which is both the reference for users and the source of the
//! defaults, so that the two cannot differ. [`Config`] can't be serialised: it holds secrets.

mod admin;
mod effective;
mod file;
mod kafka;
mod key;
mod layers;
mod lines;
mod mistake;
mod notify;
mod outbox;
mod postgres;
mod recover;
mod relay;
mod secret;
mod setting;
mod value;
mod value_file;

use serde::Deserialize;

pub(crate) use admin::{AdminConfig, ListenAddress};
pub(crate) use effective::effective;
pub(crate) use kafka::KafkaConfig;
pub(crate) use layers::Layers;
pub(crate) use notify::NotifyConfig;
pub(crate) use outbox::{OutboxConfig, OutboxTable, quote_identifier};
pub(crate) use postgres::PostgresConfig;
pub(crate) use recover::{
    AlertConfig, ConsumerConfig, GroupOrdering, OrderBackend, RecoverConfig, RetryConfig,
};
pub(crate) use relay::{Delivery, OnGap, Poison, RelayConfig, Snapshot};
use value::{Size, Span};

use crate::failure::Failure;
use crate::shard::{Shard, Shards};

/// The whole configuration, valid as a value: what needs a server to be checked is not checked here.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Config {
    /// Where the outbox is.
    pub(crate) postgres: PostgresConfig,
    /// Where events go.
    pub(crate) kafka: KafkaConfig,
    /// How the outbox is streamed.
    pub(crate) relay: RelayConfig,
    /// What the outbox looks like.
    pub(crate) outbox: OutboxConfig,
    /// How events reach webhooks.
    pub(crate) notify: NotifyConfig,
    /// What becomes of records that fail.
    pub(crate) recover: RecoverConfig,
    /// The admin HTTP server.
    pub(crate) admin: AdminConfig,
}

impl Config {
    /// The effective configuration of `layers`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::UnknownKey`](crate::error_code::ErrorCode::UnknownKey) and its neighbours, each naming the
    /// key, where its value came from and what is allowed.
    pub(crate) fn from_layers(layers: &Layers) -> Result<Self, Failure> {
        let config: Self = layers.extract()?;
        config
            .validate()
            .map_err(|invalid| layers.explain(&invalid))?;
        Ok(config)
    }

    /// The same for the database of the stores: where it says "PostgreSQL", that one is meant.
    pub(crate) fn at_store(&self) -> Self {
        Self {
            postgres: self.postgres.at_store(),
            ..self.clone()
        }
    }

    /// One configuration for each slot that is to be relayed, in the order of the shards.
    pub(crate) fn shards(&self) -> Vec<Self> {
        let shards = self.relay.shards.each();
        shards.map(|shard| self.of_shard(shard)).collect()
    }

    /// The same for one shard, with its slot and its publication.
    pub(crate) fn of_shard(&self, shard: Shard) -> Self {
        Self {
            relay: self.relay.of_shard(shard),
            ..self.clone()
        }
    }

    /// The same with another number of shards.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::InvalidValue`](crate::error_code::ErrorCode::InvalidValue): the names would be too long.
    pub(crate) fn with_shards(&self, shards: Shards) -> Result<Self, Failure> {
        let mut config = self.clone();
        config.relay.shards = shards;
        let checked = config.validate();
        checked.map_err(|invalid| mistake::refused(&invalid, "--to"))?;
        Ok(config)
    }

    fn validate(&self) -> Result<(), Invalid> {
        self.kafka.validate()?;
        self.relay.validate()?;
        self.outbox.validate()?;
        self.notify.validate()?;
        self.recover.validate()
    }
}

/// A value of the right type that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invalid {
    /// The full key, such as `relay.max_in_flight`.
    key: &'static str,
    /// What is allowed, as the end of the sentence "`key` must …".
    constraint: String,
}

impl Invalid {
    fn new(key: &'static str, constraint: impl Into<String>) -> Self {
        Self {
            key,
            constraint: constraint.into(),
        }
    }
}

/// Shorthand of the sections' checks.
fn require(holds: bool, key: &'static str, constraint: impl Into<String>) -> Result<(), Invalid> {
    if holds {
        Ok(())
    } else {
        Err(Invalid::new(key, constraint))
    }
}
