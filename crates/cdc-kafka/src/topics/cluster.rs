//! The blocking half of [`Topics`](super::Topics).

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use tokio::runtime::Handle;

use super::{ClusterInfo, TopicConfig, TopicInfo, TopicOutcome, TopicSettings};
use crate::client::BrokerReports;
use crate::code::KafkaCode;
use crate::error::{Disposition, Error};
use crate::options::{KafkaOptions, configuration_error};
use crate::record::Partition;

/// A client for one call. Every method blocks, for a little more than the timeout at most.
pub(super) struct Cluster {
    options: KafkaOptions,
    timeout: Duration,
    /// A consumer without a group: the one kind of client that asks for a topic without having
    /// the broker create it.
    client: BaseConsumer<BrokerReports>,
}

impl ConsumerContext for BrokerReports {}

impl Cluster {
    pub(super) fn new(options: KafkaOptions, timeout: Duration) -> Result<Self, Error> {
        let client = options
            .client_config()?
            .create_with_context(BrokerReports::default())
            .map_err(configuration_error)?;
        Ok(Self {
            options,
            timeout,
            client,
        })
    }

    pub(super) fn describe_cluster(&self) -> Result<ClusterInfo, Error> {
        let metadata = self.metadata("list its brokers", None)?;
        let brokers = metadata.brokers().iter();
        Ok(ClusterInfo {
            brokers: brokers
                .map(|broker| format!("{}:{}", broker.host(), broker.port()))
                .collect(),
            topics: metadata.topics().len(),
        })
    }

    pub(super) fn describe(&self, topics: &[String]) -> Result<Vec<TopicInfo>, Error> {
        topics
            .iter()
            .map(|topic| self.describe_topic(topic))
            .collect()
    }

    pub(super) fn ensure(
        &self,
        topics: Vec<String>,
        settings: TopicSettings,
        config: &TopicConfig,
    ) -> Result<Vec<TopicOutcome>, Error> {
        let mut missing = Vec::new();
        for info in self.describe(&topics)? {
            if let TopicInfo::Missing { topic } = info {
                missing.push(topic);
            }
        }
        let mut created = Vec::new();
        if !missing.is_empty() {
            created = self.create(&missing, settings, config)?;
        }
        let outcome = |topic| {
            if created.contains(&topic) {
                TopicOutcome::Created { topic }
            } else {
                TopicOutcome::Existed { topic }
            }
        };
        Ok(topics.into_iter().map(outcome).collect())
    }

    fn describe_topic(&self, topic: &str) -> Result<TopicInfo, Error> {
        let metadata = self.metadata("describe a topic", Some(topic))?;
        match metadata.topics().iter().find(|found| found.name() == topic) {
            Some(found) => describe_found(found),
            None => Ok(TopicInfo::Missing {
                topic: topic.to_owned(),
            }),
        }
    }

    /// Creates the topics and returns those that were not created by somebody else meanwhile.
    fn create(
        &self,
        topics: &[String],
        settings: TopicSettings,
        config: &TopicConfig,
    ) -> Result<Vec<String>, Error> {
        const ACTION: &str = "create a topic";
        let (admin, options) = self.admin()?;
        let new: Vec<_> = topics
            .iter()
            .map(|topic| {
                let replication = TopicReplication::Fixed(settings.replication_factor);
                let new = NewTopic::new(topic, settings.partitions, replication);
                config
                    .iter()
                    .fold(new, |new, (name, value)| new.set(name, value))
            })
            .collect();
        let results = Handle::current()
            .block_on(admin.create_topics(&new, &options))
            .map_err(|error| self.unreachable(ACTION, &error))?;
        let mut created = Vec::new();
        for result in results {
            match result {
                Ok(topic) => created.push(topic),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => {
                    return Err(Error::Topic {
                        action: "create",
                        topic,
                        code: KafkaCode::new(code),
                    });
                }
            }
        }
        Ok(created)
    }

    pub(super) fn config(
        &self,
        topic: &str,
        names: &[String],
    ) -> Result<Option<BTreeMap<String, String>>, Error> {
        const ACTION: &str = "describe the properties of a topic";
        if let TopicInfo::Missing { .. } = self.describe_topic(topic)? {
            return Ok(None);
        }
        let (admin, options) = self.admin()?;
        let refused = |code| Error::Topic {
            action: "describe the properties of",
            topic: topic.to_owned(),
            code: KafkaCode::new(code),
        };
        let results = Handle::current()
            .block_on(admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options))
            .map_err(|error| self.unreachable(ACTION, &error))?;
        let mut properties = BTreeMap::new();
        for result in results {
            let entries = result.map_err(refused)?.entries;
            // rdkafka passes the reason of a refusal over: what is left of it is a topic without any property.
            if entries.is_empty() {
                return Err(refused(RDKafkaErrorCode::TopicAuthorizationFailed));
            }
            for entry in entries {
                if let (true, Some(value)) = (names.contains(&entry.name), entry.value) {
                    properties.insert(entry.name, value);
                }
            }
        }
        Ok(Some(properties))
    }

    fn admin(&self) -> Result<(AdminClient<BrokerReports>, AdminOptions), Error> {
        let config = self.options.client_config()?;
        let admin = AdminClient::from_config_and_context(&config, BrokerReports::default())
            .map_err(configuration_error)?;
        let options = AdminOptions::new()
            .request_timeout(Some(self.timeout))
            .operation_timeout(Some(self.timeout));
        Ok((admin, options))
    }

    fn metadata(&self, action: &'static str, topic: Option<&str>) -> Result<Metadata, Error> {
        self.client
            .fetch_metadata(topic, self.timeout)
            .map_err(|error| self.unreachable(action, &error))
    }

    /// Has librdkafka call back with what it knows more than the call that failed.
    fn serve_callbacks(&self) {
        // Ends at the first pause; bounded, should one trouble follow the other.
        for _ in 0..100 {
            if self.client.poll(Duration::from_millis(10)).is_none() {
                break;
            }
        }
    }

    fn unreachable(&self, action: &'static str, error: &KafkaError) -> Error {
        self.serve_callbacks();
        let reported = self
            .client
            .context()
            .read()
            .last_error
            .map(|(error, _)| error);
        let mut code = KafkaCode::of(error);
        let detail = reported.and_then(|error| {
            if let (Disposition::Permanent, Some(cause)) = (error.disposition(), error.code()) {
                code = cause;
            }
            match error {
                Error::Broker { detail, .. } | Error::Fatal { detail, .. } => Some(detail),
                _ => None,
            }
        });
        Error::Unreachable {
            action,
            brokers: self.options.brokers.clone(),
            detail,
            code,
        }
    }
}

fn describe_found(found: &MetadataTopic) -> Result<TopicInfo, Error> {
    let topic = found.name().to_owned();
    match found.error() {
        None => {}
        Some(
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
            | RDKafkaRespErr::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
        ) => return Ok(TopicInfo::Missing { topic }),
        // Some partitions wait for a leader; they are listed below.
        Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) => {}
        Some(error) => {
            return Err(Error::Topic {
                action: "describe",
                topic,
                code: KafkaCode::new(error.into()),
            });
        }
    }
    let partitions = found.partitions();
    let without_leader = partitions
        .iter()
        .filter(|partition| partition.leader() < 0)
        .map(|partition| Partition(partition.id()))
        .collect();
    Ok(TopicInfo::Present {
        topic,
        partitions: partitions.len(),
        without_leader,
    })
}
