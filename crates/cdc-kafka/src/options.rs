//! How to reach Kafka, and which properties a user may set.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

use crate::error::Error;
use crate::producer::Limits;

/// How to reach Kafka: bootstrap addresses, and librdkafka's properties by their own names.
///
/// `Debug` masks the values of properties that may hold a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaOptions {
    /// Bootstrap addresses, `host:port`, separated by commas.
    pub brokers: String,
    /// Properties of every client.
    pub client: BTreeMap<String, String>,
    /// Properties of producers only.
    pub producer: BTreeMap<String, String>,
}

/// What every client starts from; users may override it.
const CLIENT_DEFAULTS: &[(&str, &str)] = &[
    ("client.id", "cdc-relay"),
    // A broker closes idle connections by itself; that is not news.
    ("log.connection.close", "false"),
    ("reconnect.backoff.max.ms", "1000"),
    ("socket.connection.setup.timeout.ms", "10000"),
    ("socket.keepalive.enable", "true"),
    // Until a broker that vanished without a word is given up; the default is a minute.
    ("socket.timeout.ms", "30000"),
];

/// What a producer starts from; users may override it.
const PRODUCER_DEFAULTS: &[(&str, &str)] = &[
    ("batch.size", "1000000"),
    ("compression.type", "lz4"),
    ("linger.ms", "1"),
    ("max.in.flight", "5"),
    ("partitioner", "murmur2_random"),
    ("request.timeout.ms", "20000"),
    ("retry.backoff.max.ms", "1000"),
];

/// What a producer always has, whatever a user says: the order and the guarantee hang on it.
const PRODUCER_FIXED: &[(&str, &str)] = &[
    ("acks", "all"),
    ("enable.idempotence", "true"),
    // A record that is given up by time leaves a hole in the order.
    ("message.timeout.ms", "0"),
    ("retries", "2147483647"),
];

/// Properties that a user may not set, under all their names, each with the reason.
const REFUSED: &[(&[&str], &str)] = &[
    (
        &["bootstrap.servers", "metadata.broker.list"],
        "the addresses of the brokers have a setting of their own, `brokers`",
    ),
    (
        &["enable.idempotence"],
        "without idempotence a retry could change the order of records; it is always on",
    ),
    (
        &["acks", "request.required.acks"],
        "a record counts as delivered only when all in-sync replicas have it; it is always `all`",
    ),
    (
        &["message.timeout.ms", "delivery.timeout.ms"],
        "a record that is given up by time would leave a hole in the order; it is always 0",
    ),
    (
        &["retries", "message.send.max.retries"],
        "a record that is given up would leave a hole in the order; it is retried without end",
    ),
    (
        &["delivery.report.only.error", "dr_cb", "dr_msg_cb"],
        "every delivery must be reported, or nothing could be confirmed",
    ),
    (
        &[
            "queue.buffering.max.messages",
            "queue.buffering.max.kbytes",
            "queue.buffering.max.ms",
        ],
        "what is in flight is bounded by the relay itself; to wait longer for a batch set \
         `linger.ms`",
    ),
    (
        &["transactional.id"],
        "it belongs to the delivery mode and is derived from the slot",
    ),
];

impl KafkaOptions {
    /// Options with the bootstrap addresses and nothing else.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            client: BTreeMap::new(),
            producer: BTreeMap::new(),
        }
    }

    /// Checks each property without connecting, so that a mistake is told at start. What does not
    /// fit together is found when a client is made.
    ///
    /// # Errors
    ///
    /// [`Error::RefusedProperty`] or [`Error::InvalidProperty`] for the first one that is wrong.
    pub fn validate(&self) -> Result<(), Error> {
        self.client_config()?;
        self.producer_config(Limits::default())?;
        Ok(())
    }

    /// The configuration of a client that only asks.
    pub(crate) fn client_config(&self) -> Result<ClientConfig, Error> {
        let mut config = self.base_config()?;
        config.set("allow.auto.create.topics", "false");
        checked(config)
    }

    /// The configuration of the ordered producer, whose own queue is larger than `limits`.
    pub(crate) fn producer_config(&self, limits: Limits) -> Result<ClientConfig, Error> {
        let mut config = self.base_config()?;
        set_all(&mut config, PRODUCER_DEFAULTS);
        refuse_fixed(&self.producer)?;
        for (key, value) in self.client.iter().chain(&self.producer) {
            if key == "partitioner" && value == "random" {
                return Err(Error::RefusedProperty {
                    key: key.clone(),
                    reason: "records of one key must share a partition to keep their order",
                });
            }
            config.set(key, value);
        }
        set_all(&mut config, PRODUCER_FIXED);
        config.set(
            "queue.buffering.max.messages",
            queue_messages(limits).to_string(),
        );
        config.set(
            "queue.buffering.max.kbytes",
            queue_kilobytes(limits).to_string(),
        );
        checked(config)
    }

    fn base_config(&self) -> Result<ClientConfig, Error> {
        refuse_fixed(&self.client)?;
        let mut config = ClientConfig::new();
        config.set_log_level(log_level());
        set_all(&mut config, CLIENT_DEFAULTS);
        for (key, value) in &self.client {
            config.set(key, value);
        }
        config.set("bootstrap.servers", &self.brokers);
        Ok(config)
    }
}

impl fmt::Debug for KafkaOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaOptions")
            .field("brokers", &self.brokers)
            .field("client", &Masked(&self.client))
            .field("producer", &Masked(&self.producer))
            .finish()
    }
}

/// Properties whose secrets are not printed.
struct Masked<'a>(&'a BTreeMap<String, String>);

impl fmt::Debug for Masked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |key: &str, value| if is_secret(key) { "***" } else { value };
        f.debug_map()
            .entries(self.0.iter().map(|(key, value)| (key, shown(key, value))))
            .finish()
    }
}

/// Whether the value of a property may hold a secret.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.starts_with("sasl.")
        || ["password", "secret", "token", "key.pem"]
            .iter()
            .any(|word| key.contains(word))
}

fn set_all(config: &mut ClientConfig, properties: &[(&str, &str)]) {
    for (key, value) in properties {
        config.set(*key, *value);
    }
}

fn refuse_fixed(properties: &BTreeMap<String, String>) -> Result<(), Error> {
    for key in properties.keys() {
        if let Some((_, reason)) = REFUSED
            .iter()
            .find(|(names, _)| names.contains(&key.as_str()))
        {
            return Err(Error::RefusedProperty {
                key: key.clone(),
                reason,
            });
        }
    }
    Ok(())
}

/// Has librdkafka look at every property.
fn checked(config: ClientConfig) -> Result<ClientConfig, Error> {
    match config.create_native_config() {
        Ok(_) => Ok(config),
        Err(error) => Err(configuration_error(error)),
    }
}

/// An error of making a client, without the values of secret properties.
pub(crate) fn configuration_error(error: KafkaError) -> Error {
    match error {
        KafkaError::ClientConfig(_, detail, key, _) => {
            let detail = if is_secret(&key) {
                "its value is not valid".into()
            } else {
                detail
            };
            Error::InvalidProperty { key, detail }
        }
        KafkaError::ClientCreation(detail) => Error::ClientCreation { detail },
        other => Error::ClientCreation {
            detail: other.to_string(),
        },
    }
}

fn log_level() -> RDKafkaLogLevel {
    use crate::logging::TARGET;
    if tracing::enabled!(target: TARGET, tracing::Level::DEBUG) {
        RDKafkaLogLevel::Info
    } else {
        RDKafkaLogLevel::Warning
    }
}

/// Twice our own bound: librdkafka lets go of a record a little after it reported it.
fn queue_messages(limits: Limits) -> usize {
    limits
        .max_in_flight_records
        .saturating_mul(2)
        .clamp(1_000, 10_000_000)
}

/// Twice our own bound, and room for one record of any size over it.
fn queue_kilobytes(limits: Limits) -> usize {
    const LARGEST_RECORD_KILOBYTES: usize = 1_000_000;
    const LARGEST_VALUE: usize = 2_147_483_647;
    (limits.max_in_flight_bytes / 1024)
        .saturating_mul(2)
        .saturating_add(LARGEST_RECORD_KILOBYTES)
        .min(LARGEST_VALUE)
}
