//! How to reach Kafka, and which properties a user may set.

mod properties;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

use self::properties::{
    CLIENT_DEFAULTS, GROUP_DEFAULTS, GROUP_FIXED, PRODUCER_DEFAULTS, PRODUCER_FIXED,
    READER_DEFAULTS, READER_FIXED, REFUSED, REFUSED_OF_CONSUMERS, Refused, TRANSACTIONAL_DEFAULTS,
};
use crate::consumer::ConsumerSettings;
use crate::error::Error;
use crate::producer::Limits;
use crate::transactional::TransactionTimeout;

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
    /// Properties of consumers only.
    pub consumer: BTreeMap<String, String>,
}

impl KafkaOptions {
    /// Options with the bootstrap addresses and nothing else.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            client: BTreeMap::new(),
            producer: BTreeMap::new(),
            consumer: BTreeMap::new(),
        }
    }

    /// Checks each property without connecting, so that a mistake is told at start. What does not
    /// fit together is found when a client is made.
    ///
    /// # Errors
    ///
    /// [`Error::RefusedProperty`] or [`Error::InvalidProperty`] for the first one that is wrong.
    pub fn validate(&self) -> Result<(), Error> {
        // The reader first: what it refuses in general is to be told with the reason.
        self.reader_config()?;
        self.producer_config(Limits::default())?;
        self.client_config()?;
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
        checked(self.unchecked_producer_config(limits, &[])?)
    }

    /// The same of one that delivers nothing of a partition after a record that was refused.
    pub(crate) fn gapless_config(&self, limits: Limits) -> Result<ClientConfig, Error> {
        let mut config = self.unchecked_producer_config(limits, &[])?;
        config.set("enable.gapless.guarantee", "true");
        checked(config)
    }

    /// The configuration of a transactional producer.
    pub(crate) fn transactional_config(
        &self,
        limits: Limits,
        id: &str,
        timeout: TransactionTimeout,
    ) -> Result<ClientConfig, Error> {
        let mut config = self.unchecked_producer_config(limits, TRANSACTIONAL_DEFAULTS)?;
        let milliseconds = timeout.milliseconds();
        config.set("transactional.id", id);
        config.set("transaction.timeout.ms", milliseconds.to_string());
        // librdkafka insists on it: a request must not outlive the transaction that it belongs to.
        let socket = "socket.timeout.ms";
        let longer = config
            .get(socket)
            .and_then(|value| value.parse::<u32>().ok())
            .is_some_and(|value| value > milliseconds);
        if longer {
            config.set(socket, milliseconds.to_string());
        }
        checked(config)
    }

    /// The configuration of a consumer that reads partitions from where it is told to their ends.
    pub(crate) fn reader_config(&self) -> Result<ClientConfig, Error> {
        let mut config = self.base_config()?;
        set_all(&mut config, READER_DEFAULTS);
        self.set_consumers(&mut config)?;
        set_all(&mut config, READER_FIXED);
        checked(config)
    }

    /// The configuration of a member of a consumer group.
    pub(crate) fn group_config(&self, settings: &ConsumerSettings) -> Result<ClientConfig, Error> {
        settings.validate()?;
        let mut config = self.base_config()?;
        set_all(&mut config, GROUP_DEFAULTS);
        config.set("session.timeout.ms", settings.session_timeout());
        self.set_consumers(&mut config)?;
        set_all(&mut config, GROUP_FIXED);
        for (key, value) in settings.properties() {
            config.set(key, value);
        }
        checked(config)
    }

    /// What a user sets for consumers.
    fn set_consumers(&self, config: &mut ClientConfig) -> Result<(), Error> {
        refuse_fixed(&self.consumer, REFUSED)?;
        refuse_fixed(&self.client, REFUSED_OF_CONSUMERS)?;
        refuse_fixed(&self.consumer, REFUSED_OF_CONSUMERS)?;
        for (key, value) in self.client.iter().chain(&self.consumer) {
            config.set(key, value);
        }
        Ok(())
    }

    fn unchecked_producer_config(
        &self,
        limits: Limits,
        more_defaults: &[(&str, &str)],
    ) -> Result<ClientConfig, Error> {
        let mut config = self.base_config()?;
        set_all(&mut config, PRODUCER_DEFAULTS);
        set_all(&mut config, more_defaults);
        refuse_fixed(&self.producer, REFUSED)?;
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
        Ok(config)
    }

    fn base_config(&self) -> Result<ClientConfig, Error> {
        refuse_fixed(&self.client, REFUSED)?;
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
            .field("consumer", &Masked(&self.consumer))
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

fn refuse_fixed(properties: &BTreeMap<String, String>, refused: Refused) -> Result<(), Error> {
    for key in properties.keys() {
        if let Some((_, reason)) = refused
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
