//! From the configuration to what the libraries connect with.

use std::fmt::Display;

use cdc_kafka::KafkaOptions;
use pg_replication::{ConnectOptions, PublicationName, SlotName};

use crate::config::Config;
use crate::error_code::ErrorCode;
use crate::failure::Failure;

/// What `pg_stat_activity` and `pg_stat_replication` show.
const APPLICATION_NAME: &str = "cdc-relay";

/// How to reach PostgreSQL.
pub(crate) fn postgres(config: &Config) -> Result<ConnectOptions, Failure> {
    let options = config.postgres.url.parse::<ConnectOptions>().map_err(|error| {
        invalid("postgres.url", error, "give a URL such as postgres://relay@localhost:5432/app?sslmode=require")
    })?;
    Ok(options.with_application_name(APPLICATION_NAME))
}

/// The slot's name.
pub(crate) fn slot(config: &Config) -> Result<SlotName, Failure> {
    config
        .relay
        .slot
        .parse()
        .map_err(|error| invalid("relay.slot", error, "use lower-case letters, digits and underscores"))
}

/// The publication's name.
pub(crate) fn publication(config: &Config) -> Result<PublicationName, Failure> {
    config
        .relay
        .publication
        .parse()
        .map_err(|error| invalid("relay.publication", error, "use a name of 1 to 63 bytes"))
}

/// How to reach Kafka.
pub(crate) fn kafka(config: &Config) -> KafkaOptions {
    KafkaOptions {
        brokers: config.kafka.brokers.clone(),
        client: config.kafka.client.clone(),
        producer: config.kafka.producer.clone(),
    }
}

fn invalid(
    key: &str,
    error: impl Display + std::error::Error + Send + Sync + 'static,
    remedy: &str,
) -> Failure {
    Failure::new(ErrorCode::InvalidValue, format!("`{key}` has a value that is not allowed"), remedy)
        .caused_by(error)
}
