//! Whether the topics of events are there.

use std::collections::HashMap;
use std::time::Duration;

use cdc_kafka::{Disposition, Partition, TopicInfo, TopicSettings, Topics};

use super::fate::Refusal;
use crate::config::Config;
use crate::error_code::ErrorCode;
use crate::failure::{Context, Failure};

/// For each question to the cluster.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How many partitions a topic has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Partitions(i32);

impl Partitions {
    /// The partition for an event that was in the one of this number. A retry topic with fewer than its source still
    /// has each key in one place.
    pub(super) fn place(self, number: i32) -> Partition {
        Partition(number.rem_euclid(self.0.max(1)))
    }

    /// Whether there is one of this number.
    pub(super) fn have(self, number: i32) -> bool {
        (0..self.0).contains(&number)
    }
}

/// The topics that were looked for. Each is looked for once.
#[derive(Debug)]
pub(super) struct KnownTopics<'a> {
    config: &'a Config,
    topics: Topics,
    known: HashMap<String, Result<Partitions, Refusal>>,
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

    /// Makes sure that a topic is there, as the relay does: it is created if that is configured, with the partitions of
    /// `source`.
    ///
    /// # Errors
    ///
    /// The cluster does not answer. What is wrong with the topic alone is inside.
    pub(super) async fn look_for(
        &mut self,
        topic: &str,
        source: Option<&str>,
    ) -> Result<Result<Partitions, Refusal>, Failure> {
        if let Some(known) = self.known.get(topic) {
            return Ok(known.clone());
        }
        let result = match self.ask(topic, source).await {
            Ok(Some(partitions)) => Ok(partitions),
            Ok(None) => Err(Refusal::of(&Failure::new(
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
    async fn ask(
        &self,
        topic: &str,
        source: Option<&str>,
    ) -> Result<Option<Partitions>, cdc_kafka::Error> {
        let settings = &self.config.kafka.topics;
        let found = self.partitions(topic).await?;
        if found.is_some() || !settings.create {
            return Ok(found);
        }
        // A retry topic has the partitions of its source.
        let of_source = match source {
            Some(source) => self.partitions(source).await?,
            None => None,
        };
        let partitions = of_source.unwrap_or(Partitions(settings.partitions));
        let settings = TopicSettings {
            partitions: partitions.0,
            replication_factor: settings.replication_factor,
        };
        self.topics.ensure(&[topic.to_owned()], settings).await?;
        Ok(Some(partitions))
    }

    /// `None` when there is no such topic.
    pub(super) async fn partitions(
        &self,
        topic: &str,
    ) -> Result<Option<Partitions>, cdc_kafka::Error> {
        let found = self.topics.describe(&[topic.to_owned()]).await?;
        Ok(found.into_iter().find_map(|info| match info {
            TopicInfo::Present { partitions, .. } => {
                Some(Partitions(i32::try_from(partitions).unwrap_or(i32::MAX)))
            }
            TopicInfo::Missing { .. } => None,
        }))
    }
}
