//! Whether the topics of stored records are there.

use std::collections::HashMap;
use std::time::Duration;

use cdc_kafka::{Disposition, TopicInfo, TopicSettings, Topics};

use super::fate::Refusal;
use crate::config::Config;
use crate::error_code::ErrorCode;
use crate::failure::{Context, Failure};

/// For each question to the cluster.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The topics that were looked for. Each is looked for once.
#[derive(Debug)]
pub(super) struct KnownTopics<'a> {
    config: &'a Config,
    topics: Topics,
    known: HashMap<String, Result<(), Refusal>>,
}

impl<'a> KnownTopics<'a> {
    /// Looks whether the cluster answers.
    pub(super) async fn open(config: &'a Config) -> Result<Self, Failure> {
        let topics = Topics::new(config.kafka.options(), TIMEOUT);
        topics.ping().await.map_err(|error| {
            Failure::from_kafka(error, Context::new(config, "ask Kafka for its brokers"))
        })?;
        Ok(Self {
            config,
            topics,
            known: HashMap::new(),
        })
    }

    /// Makes sure that a topic is there, as the relay does: it is created if that is configured.
    ///
    /// # Errors
    ///
    /// The cluster does not answer. What is wrong with the topic alone is inside.
    pub(super) async fn look_for(&mut self, topic: &str) -> Result<Result<(), Refusal>, Failure> {
        if let Some(known) = self.known.get(topic) {
            return Ok(known.clone());
        }
        let result = match self.ask(topic).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal::of(&Failure::new(
                ErrorCode::TopicMissing,
                format!("the topic {topic:?} does not exist"),
                "create it, or set `kafka.topics.create = true`",
            ))),
            Err(error) => {
                let of_topic = matches!(error, cdc_kafka::Error::Topic { .. })
                    && error.disposition() == Disposition::Permanent;
                let doing = "look for the topic or create it";
                let failure = Failure::from_kafka(error, Context::new(self.config, doing));
                if !of_topic {
                    return Err(failure);
                }
                Err(Refusal::of(&failure))
            }
        };
        self.known.insert(topic.to_owned(), result.clone());
        Ok(result)
    }

    /// Whether it is there, by now.
    async fn ask(&self, topic: &str) -> Result<bool, cdc_kafka::Error> {
        let names = [topic.to_owned()];
        let settings = &self.config.kafka.topics;
        if !settings.create {
            let found = self.topics.describe(&names).await?;
            return Ok(!matches!(found.as_slice(), [TopicInfo::Missing { .. }]));
        }
        let settings = TopicSettings {
            partitions: settings.partitions,
            replication_factor: settings.replication_factor,
        };
        self.topics.ensure(&names, settings).await.map(|_| true)
    }
}
