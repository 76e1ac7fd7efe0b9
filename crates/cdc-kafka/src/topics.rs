//! Looking at a cluster and creating the topics that are missing.

mod cluster;
mod compacted;

use std::time::Duration;

use self::cluster::Cluster;
use crate::error::Error;
use crate::options::KafkaOptions;
use crate::record::Partition;

/// Looks at a cluster and creates topics.
///
/// Every call makes its own connections, on a thread where blocking is allowed, and takes at most
/// a little longer than the timeout. Dropping a future leaves the call to end by itself, in that
/// time; a topic may still be created. Nothing here makes a broker create a topic by the way.
#[derive(Debug, Clone)]
pub struct Topics {
    options: KafkaOptions,
    timeout: Duration,
}

/// What a topic is created with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicSettings {
    /// The number of partitions, from 1.
    pub partitions: i32,
    /// The number of replicas; -1 leaves it to the brokers.
    pub replication_factor: i32,
}

/// What [`Topics::ensure`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicOutcome {
    /// The topic was not there and was created with the settings.
    Created {
        /// The topic.
        topic: String,
    },
    /// The topic was there; the settings were not compared.
    Existed {
        /// The topic.
        topic: String,
    },
}

/// What the cluster says of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicInfo {
    /// It exists.
    Present {
        /// The topic.
        topic: String,
        /// The number of partitions.
        partitions: usize,
        /// Partitions that nobody can write to at the moment.
        without_leader: Vec<Partition>,
    },
    /// There is no such topic.
    Missing {
        /// The topic.
        topic: String,
    },
}

/// What the cluster says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterInfo {
    /// The brokers, as `host:port`, as they advertise themselves.
    pub brokers: Vec<String>,
    /// The number of topics that this client may see.
    pub topics: usize,
}

impl Topics {
    /// Takes the options; connects to nothing. `timeout` bounds each question to the cluster.
    #[must_use]
    pub fn new(options: KafkaOptions, timeout: Duration) -> Self {
        Self { options, timeout }
    }

    /// Creates the topics that are missing, and says for each which it was, in the order given.
    ///
    /// Another client may create one at the same time; that counts as existing.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`], or [`Error::Topic`] for the first topic that was refused; topics
    /// before it may have been created.
    pub async fn ensure(
        &self,
        topics: &[String],
        settings: TopicSettings,
    ) -> Result<Vec<TopicOutcome>, Error> {
        let topics = topics.to_vec();
        self.with_cluster(move |cluster| cluster.ensure(topics, settings))
            .await
    }

    /// Says of each topic whether it exists, in the order given.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`], or [`Error::Topic`] for one that this client may not see.
    pub async fn describe(&self, topics: &[String]) -> Result<Vec<TopicInfo>, Error> {
        let topics = topics.to_vec();
        self.with_cluster(move |cluster| cluster.describe(&topics))
            .await
    }

    /// Asks the cluster for its brokers.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`] with the last trouble that a broker gave; its disposition is
    /// permanent when that was a refused login.
    pub async fn ping(&self) -> Result<ClusterInfo, Error> {
        self.with_cluster(|cluster| cluster.describe_cluster())
            .await
    }

    async fn with_cluster<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Cluster) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (options, timeout) = (self.options.clone(), self.timeout);
        tokio::task::spawn_blocking(move || ask(&Cluster::new(options, timeout)?))
            .await
            .map_err(|_| Error::Abandoned)?
    }
}
