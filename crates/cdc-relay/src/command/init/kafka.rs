//! Kafka must answer before the database is changed: a slot that nobody can empty fills the server's disk.

use std::time::Duration;

use cdc_kafka::{TopicOutcome, TopicSettings, Topics};

use crate::config::Config;
use crate::failure::{Context, Failure};
use crate::terminal::say;

/// For each question to the cluster.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Asks the cluster for its brokers.
pub(super) async fn check(config: &Config) -> Result<(), Failure> {
    let context = Context::new(config, "ask Kafka for its brokers");
    let topics = Topics::new(config.kafka.options(), TIMEOUT);
    topics
        .ping()
        .await
        .map(drop)
        .map_err(|error| Failure::from_kafka(error, context))
}

/// Creates the topic whose name is known beforehand, if there is one.
pub(super) async fn create_topics(config: &Config) -> Result<(), Failure> {
    let Some(topic) = config
        .outbox
        .topic
        .fixed()
        .filter(|_| config.kafka.topics.create)
    else {
        return Ok(());
    };
    let settings = TopicSettings {
        partitions: config.kafka.topics.partitions,
        replication_factor: config.kafka.topics.replication_factor,
    };
    let outcomes = Topics::new(config.kafka.options(), TIMEOUT)
        .ensure(&[topic.to_owned()], settings)
        .await
        .map_err(|error| Failure::from_kafka(error, Context::new(config, "create a topic")))?;
    for outcome in outcomes {
        match outcome {
            TopicOutcome::Created { topic } => say(format!("created        topic {topic}")),
            TopicOutcome::Existed { topic } => say(format!("already there  topic {topic}")),
        }
    }
    Ok(())
}
