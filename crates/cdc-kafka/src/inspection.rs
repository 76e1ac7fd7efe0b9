//! What a cluster, its brokers and its topics are set to, found out without writing anything.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::types::RDKafkaErrorCode;
use tokio::runtime::Handle;

use crate::client::BrokerReports;
use crate::code::KafkaCode;
use crate::error::Error;
use crate::options::{KafkaOptions, configuration_error};
use crate::topics::TopicSettings;

/// What librdkafka takes when nothing else is set.
const DEFAULT_MESSAGE_MAX_BYTES: u64 = 1_000_000;

/// Looks at a cluster and changes nothing.
///
/// Every call makes its own connections, on a thread where blocking is allowed, and takes at most a few times the
/// timeout. Dropping a future leaves the call to end by itself.
#[derive(Debug, Clone)]
pub struct Inspection {
    options: KafkaOptions,
    timeout: Duration,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDetails {
    /// The number of brokers.
    pub brokers: usize,
    /// Settings of one broker, which stand for the cluster's; `None` if this client may not see them.
    pub broker: Option<Settings>,
    /// The topics that were asked for and exist, by name.
    pub topics: Vec<TopicDetails>,
    /// How many more topics were asked for than are in `topics`.
    pub left_out: usize,
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDetails {
    /// Its name.
    pub topic: String,
    /// The number of partitions.
    pub partitions: usize,
    /// Replicas of the partition that has the fewest.
    pub replicas: usize,
    /// In-sync replicas of the partition that has the fewest.
    pub in_sync: usize,
    /// Partitions that nobody can write to at the moment.
    pub without_leader: usize,
    /// Its settings; `None` if this client may not see them.
    pub settings: Option<Settings>,
}

/// Settings by Kafka's names, such as `min.insync.replicas`. Secret ones are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// The value of a setting.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value of a setting that is a number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.parse().ok()
    }
}

impl FromIterator<(String, String)> for Settings {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(settings: T) -> Self {
        Self(settings.into_iter().collect())
    }
}

impl KafkaOptions {
    /// The largest record that a producer with these options takes, in bytes: `message.max.bytes`.
    #[must_use]
    pub fn message_max_bytes(&self) -> u64 {
        let set =
            |properties: &BTreeMap<String, String>| properties.get("message.max.bytes").cloned();
        let own = set(&self.producer).or_else(|| set(&self.client));
        own.and_then(|text| text.parse().ok())
            .unwrap_or(DEFAULT_MESSAGE_MAX_BYTES)
    }
}

impl Inspection {
    /// Takes the options; connects to nothing. `timeout` bounds each question to the cluster.
    #[must_use]
    pub fn new(options: KafkaOptions, timeout: Duration) -> Self {
        Self { options, timeout }
    }

    /// Looks at the cluster, and at the first `most` topics whose name is `wanted`.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`].
    pub async fn look(
        &self,
        wanted: impl Fn(&str) -> bool + Send + 'static,
        most: usize,
    ) -> Result<ClusterDetails, Error> {
        self.blocking(move |client| client.look(wanted, most)).await
    }

    /// Asks whether a topic could be created with `settings`, without creating it.
    ///
    /// # Errors
    ///
    /// [`Error::Topic`] with the brokers' reason against it, [`Error::Unreachable`].
    pub async fn may_create(&self, topic: &str, settings: TopicSettings) -> Result<(), Error> {
        let topic = topic.to_owned();
        self.blocking(move |client| client.may_create(topic, settings))
            .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Client) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (options, timeout) = (self.options.clone(), self.timeout);
        tokio::task::spawn_blocking(move || ask(&Client::new(&options, timeout)?))
            .await
            .map_err(|_| Error::Abandoned)?
    }
}

/// The blocking half.
struct Client {
    brokers: String,
    timeout: Duration,
    /// A consumer without a group asks for a topic without having it created.
    metadata: BaseConsumer<BrokerReports>,
    admin: AdminClient<BrokerReports>,
}

impl Client {
    fn new(options: &KafkaOptions, timeout: Duration) -> Result<Self, Error> {
        let config = options.client_config()?;
        let reports = BrokerReports::default;
        Ok(Self {
            brokers: options.brokers.clone(),
            timeout,
            metadata: config
                .create_with_context(reports())
                .map_err(configuration_error)?,
            admin: AdminClient::from_config_and_context(&config, reports())
                .map_err(configuration_error)?,
        })
    }

    fn look(&self, wanted: impl Fn(&str) -> bool, most: usize) -> Result<ClusterDetails, Error> {
        const ACTION: &str = "list its topics";
        let metadata = self
            .metadata
            .fetch_metadata(None, self.timeout)
            .map_err(|error| self.unreachable(ACTION, &error))?;
        let mut found: Vec<&MetadataTopic> = metadata
            .topics()
            .iter()
            .filter(|topic| wanted(topic.name()))
            .collect();
        found.sort_by_key(|topic| topic.name());
        let left_out = found.len().saturating_sub(most);
        found.truncate(most);
        let names: Vec<&str> = found.iter().map(|topic| topic.name()).collect();
        let settings = self.topic_settings(&names)?;
        let topics = found.iter().zip(settings).map(|(topic, settings)| {
            let fewest = |count: fn(&rdkafka::metadata::MetadataPartition) -> usize| {
                topic.partitions().iter().map(count).min().unwrap_or(0)
            };
            TopicDetails {
                topic: topic.name().to_owned(),
                partitions: topic.partitions().len(),
                replicas: fewest(|partition| partition.replicas().len()),
                in_sync: fewest(|partition| partition.isr().len()),
                without_leader: topic
                    .partitions()
                    .iter()
                    .filter(|partition| partition.leader() < 0)
                    .count(),
                settings,
            }
        });
        Ok(ClusterDetails {
            brokers: metadata.brokers().len(),
            broker: self.broker_settings(&metadata)?,
            topics: topics.collect(),
            left_out,
        })
    }

    fn broker_settings(&self, metadata: &Metadata) -> Result<Option<Settings>, Error> {
        let Some(broker) = metadata.brokers().first() else {
            return Ok(None);
        };
        let described = self.describe(&[ResourceSpecifier::Broker(broker.id())])?;
        Ok(described.into_iter().next().flatten())
    }

    fn topic_settings(&self, topics: &[&str]) -> Result<Vec<Option<Settings>>, Error> {
        if topics.is_empty() {
            return Ok(Vec::new());
        }
        let resources: Vec<_> = topics
            .iter()
            .map(|topic| ResourceSpecifier::Topic(topic))
            .collect();
        self.describe(&resources)
    }

    /// The settings of each resource in the order given; `None` for one that may not be seen.
    fn describe(
        &self,
        resources: &[ResourceSpecifier<'_>],
    ) -> Result<Vec<Option<Settings>>, Error> {
        let described = Handle::current()
            .block_on(self.admin.describe_configs(resources, &self.options()))
            .map_err(|error| self.unreachable("read its settings", &error))?;
        Ok(described
            .into_iter()
            .map(|resource| resource.ok().map(settings))
            .collect())
    }

    fn may_create(&self, topic: String, settings: TopicSettings) -> Result<(), Error> {
        let replication = TopicReplication::Fixed(settings.replication_factor);
        let new = [NewTopic::new(&topic, settings.partitions, replication)];
        let results = Handle::current()
            .block_on(
                self.admin
                    .create_topics(&new, &self.options().validate_only(true)),
            )
            .map_err(|error| self.unreachable("ask about a new topic", &error))?;
        match results.into_iter().next() {
            None | Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
            Some(Err((_, code))) => Err(Error::Topic {
                action: "create",
                topic,
                code: KafkaCode::new(code),
            }),
        }
    }

    fn options(&self) -> AdminOptions {
        AdminOptions::new().request_timeout(Some(self.timeout))
    }

    fn unreachable(&self, action: &'static str, error: &KafkaError) -> Error {
        Error::Unreachable {
            action,
            brokers: self.brokers.clone(),
            detail: None,
            code: KafkaCode::of(error),
        }
    }
}

fn settings(resource: ConfigResource) -> Settings {
    let entries = resource.entries.into_iter();
    Settings(
        entries
            .filter(|entry| !entry.is_sensitive)
            .filter_map(|entry| Some((entry.name, entry.value?)))
            .collect(),
    )
}
