//! The topics of one test.

use std::time::Duration;

use anyhow::Result;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::event::Aggregate;
use crate::services::{Component, Services};

/// How long one request to the broker may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// All topics below a prefix that nobody else uses. Deleted when this value is dropped.
#[derive(Debug)]
pub struct Topics {
    brokers: String,
    prefix: String,
    delete_them: bool,
}

impl Topics {
    /// The topics `prefix.…`, none of which need exist.
    pub fn below(prefix: &str, services: &Services) -> Self {
        Self {
            brokers: services.kafka_brokers().to_owned(),
            prefix: format!("{prefix}."),
            delete_them: !services.is_private(Component::Kafka),
        }
    }

    /// The topics that the workload's events go to.
    pub fn of_workload(&self) -> Vec<String> {
        Aggregate::ALL
            .iter()
            .map(|aggregate| format!("{}{}", self.prefix, aggregate.name()))
            .collect()
    }

    /// The topic of the relay's checkpoints.
    pub fn of_checkpoints(&self) -> String {
        format!("{}checkpoint", self.prefix)
    }
}

impl Drop for Topics {
    fn drop(&mut self) {
        if self.delete_them {
            let (brokers, prefix) = (self.brokers.clone(), self.prefix.clone());
            crate::cleanup::run(&format!("delete topics {prefix}*"), move || {
                delete(brokers, prefix)
            });
        }
    }
}

async fn delete(brokers: String, prefix: String) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = client_config(&brokers).create()?;
    let metadata = admin.inner().fetch_metadata(None, TIMEOUT)?;
    let names = metadata
        .topics()
        .iter()
        .map(rdkafka::metadata::MetadataTopic::name);
    let ours: Vec<_> = names.filter(|name| name.starts_with(&prefix)).collect();
    if ours.is_empty() {
        return Ok(());
    }
    admin
        .delete_topics(&ours, &AdminOptions::new().request_timeout(Some(TIMEOUT)))
        .await?;
    Ok(())
}

/// Records that the topics which are `wanted` by their names have in all their partitions, marks of transactions
/// included.
///
/// # Errors
/// Fails if Kafka cannot be asked.
pub fn records_in(brokers: &str, wanted: impl Fn(&str) -> bool) -> Result<i64> {
    let consumer: BaseConsumer = client_config(brokers).create()?;
    let metadata = consumer.fetch_metadata(None, TIMEOUT)?;
    let mut records = 0;
    for topic in metadata
        .topics()
        .iter()
        .filter(|topic| wanted(topic.name()))
    {
        for partition in topic.partitions() {
            let (low, high) = consumer.fetch_watermarks(topic.name(), partition.id(), TIMEOUT)?;
            records += high - low;
        }
    }
    Ok(records)
}

/// Has Kafka forget the records of a partition before an offset, as its retention does.
///
/// # Errors
/// Fails if Kafka does not do it.
pub async fn delete_records_before(
    brokers: &str,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = client_config(brokers).create()?;
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
    admin.delete_records(&before, &options).await?;
    Ok(())
}

/// What every Kafka client of the tests is configured with: quick to come back after the broker was away, and silent.
pub(crate) fn client_config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "500")
        .set_log_level(RDKafkaLogLevel::Emerg);
    config
}
