//! Section `[kafka]`.

use std::collections::BTreeMap;
use std::fmt;

use cdc_kafka::KafkaOptions;
use figment::value::{Dict, Value};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::{Invalid, require};

/// Where events go.
#[derive(Clone, Deserialize)]
pub(crate) struct KafkaConfig {
    /// `host:port`, several separated by commas.
    pub(crate) brokers: String,
    /// librdkafka properties for every client. Values may be secrets.
    #[serde(deserialize_with = "properties")]
    pub(crate) client: BTreeMap<String, String>,
    /// librdkafka properties for producers only. Values may be secrets.
    #[serde(deserialize_with = "properties")]
    pub(crate) producer: BTreeMap<String, String>,
    /// librdkafka properties for consumers only. Values may be secrets.
    #[serde(deserialize_with = "properties")]
    pub(crate) consumer: BTreeMap<String, String>,
    /// Topics that cdc-relay creates.
    pub(crate) topics: TopicsConfig,
}

/// How topics are created.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TopicsConfig {
    /// False: a missing topic is an error.
    pub(crate) create: bool,
    /// Partitions of a new topic.
    pub(crate) partitions: i32,
    /// Replicas of each partition; -1 is the broker's default.
    pub(crate) replication_factor: i32,
}

impl KafkaConfig {
    /// For every client.
    pub(crate) fn options(&self) -> KafkaOptions {
        KafkaOptions {
            brokers: self.brokers.clone(),
            client: self.client.clone(),
            producer: self.producer.clone(),
            consumer: self.consumer.clone(),
        }
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        require(
            (1..=10_000).contains(&self.topics.partitions),
            "kafka.topics.partitions",
            "be between 1 and 10000",
        )?;
        require(
            self.topics.replication_factor == -1
                || (1..=100).contains(&self.topics.replication_factor),
            "kafka.topics.replication_factor",
            "be between 1 and 100, or -1 for the broker's default",
        )
    }
}

impl fmt::Debug for KafkaConfig {
    /// Names the properties, without their values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaConfig")
            .field("brokers", &self.brokers)
            .field("client", &self.client.keys())
            .field("producer", &self.producer.keys())
            .field("consumer", &self.consumer.keys())
            .field("topics", &self.topics)
            .finish()
    }
}

/// Properties as text. `"security.protocol" = "SSL"` and `security.protocol = "SSL"` mean the same.
fn properties<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let mut flat = BTreeMap::new();
    flatten("", Dict::deserialize(deserializer)?, &mut flat).map_err(D::Error::custom)?;
    Ok(flat)
}

fn flatten(prefix: &str, dict: Dict, into: &mut BTreeMap<String, String>) -> Result<(), String> {
    for (key, value) in dict {
        let name = if prefix.is_empty() {
            key
        } else {
            format!("{prefix}.{key}")
        };
        let text = match value {
            Value::Dict(_, inner) => {
                flatten(&name, inner, into)?;
                continue;
            }
            Value::String(_, text) => text,
            Value::Char(_, letter) => letter.to_string(),
            Value::Bool(_, flag) => flag.to_string(),
            Value::Num(_, number) => match number.to_i128() {
                Some(whole) => whole.to_string(),
                None => number.to_f64().unwrap_or_default().to_string(),
            },
            Value::Empty(..) | Value::Array(..) => {
                return Err(format!(
                    "property {name} must be text, a number, true or false"
                ));
            }
        };
        into.insert(name, text);
    }
    Ok(())
}
