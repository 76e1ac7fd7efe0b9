//! Kafka must answer before the database is changed: a slot that nobody can empty fills the server's disk.

use std::time::Duration;

use cdc_kafka::{TopicConfig, TopicInfo, TopicOutcome, TopicSettings, Topics};

use crate::config::Config;
use crate::error_code::ErrorCode;
use crate::failure::{Context, Failure};
use crate::terminal::say;

/// For each question to the cluster.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The topic in which the relay keeps how far it has come.
pub(in crate::command) fn checkpoint_topic(config: &Config) -> &str {
    &config.relay.checkpoint_topic
}

/// Asks the cluster for its brokers, and for the topic that has to be there when none is created.
pub(super) async fn check(config: &Config) -> Result<(), Failure> {
    let topics = Topics::new(config.kafka.options(), TIMEOUT);
    topics.ping().await.map_err(|error| {
        Failure::from_kafka(error, Context::new(config, "ask Kafka for its brokers"))
    })?;
    if config.kafka.topics.create {
        return Ok(());
    }
    let topic = checkpoint_topic(config);
    let found = topics
        .describe(&[topic.to_owned()])
        .await
        .map_err(|error| Failure::from_kafka(error, Context::new(config, "look for a topic")))?;
    match found.as_slice() {
        [TopicInfo::Missing { .. }] => Err(missing_checkpoint_topic(topic)),
        _ => Ok(()),
    }
}

/// What `doctor` says too.
pub(in crate::command) fn missing_checkpoint_topic(topic: &str) -> Failure {
    Failure::new(
        ErrorCode::TopicMissing,
        format!("the checkpoint topic {topic:?} does not exist"),
        "create it with one partition and cleanup.policy=compact, or set `kafka.topics.create = true` and run \
         `cdc-relay init`",
    )
}

/// Creates the topics whose names are known beforehand.
pub(super) async fn create_topics(config: &Config) -> Result<(), Failure> {
    if !config.kafka.topics.create {
        return Ok(());
    }
    let told = |error| Failure::from_kafka(error, Context::new(config, "create a topic"));
    let topics = Topics::new(config.kafka.options(), TIMEOUT);
    let replication_factor = config.kafka.topics.replication_factor;
    let checkpoints = TopicSettings {
        partitions: 1,
        replication_factor,
    };
    topics
        .ensure_with(
            &[checkpoint_topic(config).to_owned()],
            checkpoints,
            TopicConfig::compacted(),
        )
        .await
        .map_err(told)?
        .into_iter()
        .for_each(report);
    let Some(topic) = config.outbox.topic.fixed() else {
        return Ok(());
    };
    let settings = TopicSettings {
        partitions: config.kafka.topics.partitions,
        replication_factor,
    };
    let outcomes = topics
        .ensure(&[topic.to_owned()], settings)
        .await
        .map_err(told)?;
    outcomes.into_iter().for_each(report);
    Ok(())
}

fn report(outcome: TopicOutcome) {
    match outcome {
        TopicOutcome::Created { topic } => say(format!("created        topic {topic}")),
        TopicOutcome::Existed { topic } => say(format!("already there  topic {topic}")),
    }
}

/// What a dry run says of topics, as SQL comments.
pub(super) fn plan(config: &Config) -> Vec<String> {
    let how = |created: &str| {
        if config.kafka.topics.create {
            created.to_owned()
        } else {
            "must exist (kafka.topics.create = false)".to_owned()
        }
    };
    let checkpoint = format!(
        "-- topic {}: {}; one partition, cleanup.policy=compact",
        checkpoint_topic(config),
        how("created if it does not exist")
    );
    let events = match config.outbox.topic.fixed() {
        Some(topic) => format!("-- topic {topic}: {}", how("created if it does not exist")),
        None => format!(
            "-- topics {}: {}",
            config.outbox.topic,
            how("created by the relay at their first event")
        ),
    };
    vec![checkpoint, events]
}
