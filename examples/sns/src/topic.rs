//! The topic that posts are announced in.

use std::time::Duration;

use anyhow::{Context, Result};
use cdc_kafka::{KafkaOptions, TopicSettings, Topics};

/// How long Kafka may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the topic is created with; events of one author stay in one partition.
const SETTINGS: TopicSettings = TopicSettings {
    partitions: 6,
    // The broker's default.
    replication_factor: -1,
};

/// Makes the topic if it is missing.
///
/// # Errors
///
/// If Kafka does not answer, or refuses.
pub async fn ensure(brokers: &str, topic: &str) -> Result<()> {
    let topics = Topics::new(KafkaOptions::new(brokers), PATIENCE);
    topics
        .ensure(&[topic.to_owned()], SETTINGS)
        .await
        .with_context(|| format!("the topic {topic} cannot be made"))?;
    Ok(())
}
