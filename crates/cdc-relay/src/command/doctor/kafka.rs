//! The Kafka cluster.

use std::time::Duration;

use cdc_kafka::{TopicInfo, Topics};

use super::finding::Findings;
use crate::config::Config;
use crate::error_code::ErrorCode;
use crate::failure::{Context, Failure};

/// For each question to the cluster.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn check(config: &Config, findings: &mut Findings) {
    let topics = Topics::new(config.kafka.options(), TIMEOUT);
    match topics.ping().await {
        Ok(cluster) => {
            findings.ok("Kafka", format!("brokers: {}", cluster.brokers.join(", ")));
        }
        Err(error) => {
            let context = Context::new(config, "ask Kafka for its brokers");
            findings.failed("Kafka", &Failure::from_kafka(error, context));
            return;
        }
    }
    match config.outbox.topic.fixed() {
        Some(topic) => fixed_topic(&topics, topic, config, findings).await,
        None if config.kafka.topics.create => {
            findings.ok(
                "topics",
                format!("{}: created at their first event", config.outbox.topic),
            );
        }
        None => findings.ok(
            "topics",
            format!(
                "{}: must exist before their first event",
                config.outbox.topic
            ),
        ),
    }
}

async fn fixed_topic(topics: &Topics, topic: &str, config: &Config, findings: &mut Findings) {
    let described = match topics.describe(&[topic.to_owned()]).await {
        Ok(described) => described,
        Err(error) => {
            let context = Context::new(config, "look for the topic");
            findings.failed("topics", &Failure::from_kafka(error, context));
            return;
        }
    };
    for info in described {
        match info {
            TopicInfo::Present {
                topic,
                without_leader,
                ..
            } if !without_leader.is_empty() => findings.warn(
                "topics",
                format!(
                    "{topic}: {} partitions have no leader",
                    without_leader.len()
                ),
                "wait until their brokers are back",
                None,
            ),
            TopicInfo::Present {
                topic, partitions, ..
            } => {
                findings.ok("topics", format!("{topic}: {partitions} partitions"));
            }
            TopicInfo::Missing { topic } if config.kafka.topics.create => {
                findings.ok("topics", format!("{topic}: created at the first event"));
            }
            TopicInfo::Missing { topic } => findings.failed(
                "topics",
                &Failure::new(
                    ErrorCode::TopicMissing,
                    format!("the topic {topic:?} does not exist"),
                    "create it, or set `kafka.topics.create = true`",
                ),
            ),
        }
    }
}
