//! The topics that records are handed over to.

mod route;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use cdc_event::Backoff;
use cdc_kafka::{
    KafkaOptions, Offset, TopicConfig, TopicInfo, TopicPartition, TopicSettings, Topics, group_lag,
};
use tokio::sync::OnceCell;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub(crate) use self::route::{Destination, Route};
use crate::error::{Disposition, Error};
use crate::names::{Names, SourceNames};
use crate::settings::Creation;
use cdc_event::random_fraction;

/// How long one question to the cluster may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A source that is missing is looked for this often.
const MISSING: Duration = Duration::from_secs(5);

/// What headers of failures add to the size of a record, at most, and a little more.
const HEADROOM: u64 = 64 * 1024;

/// Finds the topics that belong to a source, and creates those that are missing.
#[derive(Debug)]
pub(crate) struct Topology {
    options: KafkaOptions,
    topics: Topics,
    creation: Option<Creation>,
    routes: HashMap<String, OnceCell<Arc<Route>>>,
}

impl Topology {
    pub(crate) fn new(options: KafkaOptions, creation: Option<Creation>, names: &Names) -> Self {
        let sources = names.sources().iter();
        Self {
            topics: Topics::new(options.clone(), TIMEOUT),
            options,
            creation,
            routes: sources
                .map(|source| (source.topic.clone(), OnceCell::new()))
                .collect(),
        }
    }

    /// Where records of a source go, whose topics are created if they may be and must. Waits as long as Kafka is away;
    /// `None` when it was told to stop.
    ///
    /// # Errors
    ///
    /// [`Error::MissingSource`], and what cannot pass by itself.
    pub(crate) async fn find(
        &self,
        source: &SourceNames,
        stop: &CancellationToken,
    ) -> Result<Option<Arc<Route>>, Error> {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        loop {
            let looked_up = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(None),
                looked_up = self.look_up(source) => looked_up,
            };
            let error = match looked_up {
                Ok(route) => return Ok(Some(route)),
                Err(error @ Error::MissingSource { .. }) => return Err(error),
                Err(error) => error,
            };
            match error.disposition() {
                Disposition::Transient => {}
                Disposition::Permanent | Disposition::Bug => return Err(error),
            }
            if backoff.failures() == 0 {
                tracing::warn!(
                    topic = source.topic,
                    error = causes(&error),
                    "waiting for Kafka"
                );
            }
            if !pause(stop, backoff.next_delay(random_fraction())).await {
                return Ok(None);
            }
        }
    }

    /// As [`find`](Self::find), and waits for the source too.
    pub(crate) async fn wait_for(
        &self,
        source: &SourceNames,
        stop: &CancellationToken,
    ) -> Result<Option<Arc<Route>>, Error> {
        loop {
            match self.find(source, stop).await {
                Err(Error::MissingSource { .. }) => {
                    if !pause(stop, MISSING).await {
                        return Ok(None);
                    }
                }
                found => return found,
            }
        }
    }

    /// How many partitions a topic has now.
    ///
    /// # Errors
    ///
    /// [`Error::MissingSource`], [`Error::Kafka`].
    pub(crate) async fn partitions_of(&self, topic: &str) -> Result<i32, Error> {
        let mut found = self.partitions(&[topic.to_owned()]).await?;
        let topic = topic.to_owned();
        found.remove(&topic).ok_or(Error::MissingSource { topic })
    }

    /// The offset behind the last record of a partition; `None` if there is no such partition.
    ///
    /// # Errors
    ///
    /// [`Error::Kafka`].
    pub(crate) async fn end_of(
        &self,
        group: &str,
        partition: &TopicPartition,
    ) -> Result<Option<Offset>, Error> {
        let topics = [partition.topic.to_string()];
        let lags = group_lag(&self.options, group, &topics, TIMEOUT)
            .await
            .map_err(Error::Kafka)?;
        let found = lags.into_iter().find(|lag| lag.partition == *partition);
        Ok(found.map(|lag| lag.end))
    }

    async fn look_up(&self, source: &SourceNames) -> Result<Arc<Route>, Error> {
        let prepare = || async { Ok(Arc::new(self.prepare(source).await?)) };
        match self.routes.get(&source.topic) {
            Some(route) => route.get_or_try_init(prepare).await.cloned(),
            None => prepare().await,
        }
    }

    async fn prepare(&self, source: &SourceNames) -> Result<Route, Error> {
        let dead_letters: Vec<_> = std::iter::once(&source.dead_letter)
            .chain(source.dead_letter_of.values())
            .cloned()
            .collect();
        let all: Vec<_> = [&source.topic]
            .into_iter()
            .chain(&source.retries)
            .chain(&dead_letters)
            .cloned()
            .collect();
        let mut partitions = self.partitions(&all).await?;
        let Some(&of_source) = partitions.get(&source.topic) else {
            return Err(Error::MissingSource {
                topic: source.topic.clone(),
            });
        };
        let is_missing = |topic: &&String| !partitions.contains_key(*topic);
        let missing_retries: Vec<_> = source.retries.iter().filter(is_missing).cloned().collect();
        let missing_dead: Vec<_> = dead_letters.iter().filter(is_missing).cloned().collect();
        if !missing_retries.is_empty() || !missing_dead.is_empty() {
            let limit = self.size_limit(&source.topic).await;
            let retention = |creation: &Creation| Some(creation.retry_retention);
            self.create(&missing_retries, of_source, limit, retention)
                .await?;
            self.create(&missing_dead, of_source, limit, |creation| {
                creation.dead_letter_retention
            })
            .await?;
            // Another may have created them with other partitions.
            partitions.extend(self.partitions(&all).await?);
        }
        let destination = |topic: &String| {
            // A broker may not know yet what another one has created.
            let partitions = partitions.get(topic).copied().unwrap_or(of_source);
            Destination::new(topic.clone(), partitions)
        };
        let of_code = source.dead_letter_of.iter();
        Ok(Route {
            source: source.topic.clone(),
            retries: source.retries.iter().map(destination).collect(),
            dead_letter: destination(&source.dead_letter),
            dead_letter_of: of_code
                .map(|(code, topic)| (code.clone(), destination(topic)))
                .collect(),
        })
    }

    /// The partitions of those topics that exist.
    async fn partitions(&self, topics: &[String]) -> Result<BTreeMap<String, i32>, Error> {
        let found = self.topics.describe(topics).await.map_err(Error::Kafka)?;
        let present = |info| match info {
            TopicInfo::Present {
                topic, partitions, ..
            } => Some((topic, i32::try_from(partitions).unwrap_or(i32::MAX))),
            TopicInfo::Missing { .. } => None,
        };
        Ok(found.into_iter().filter_map(present).collect())
    }

    async fn create(
        &self,
        topics: &[String],
        partitions: i32,
        limit: Option<u64>,
        retention: impl Fn(&Creation) -> Option<Duration>,
    ) -> Result<(), Error> {
        let Some(first) = topics.first() else {
            return Ok(());
        };
        let Some(creation) = &self.creation else {
            return Err(Error::MissingTopic {
                topic: first.clone(),
            });
        };
        let settings = TopicSettings {
            partitions,
            replication_factor: creation.replication_factor,
        };
        let retention =
            retention(creation).map_or("-1".to_owned(), |kept| kept.as_millis().to_string());
        let mut config = TopicConfig::new()
            // Compaction would take the older of two failures of a key, and any whose value is null.
            .with("cleanup.policy", "delete")
            .with("retention.ms", retention)
            .with("retention.bytes", "-1");
        if let Some(limit) = limit {
            config = config.with("max.message.bytes", (limit + HEADROOM).to_string());
        }
        self.topics
            .ensure_with(topics, settings, config)
            .await
            .map_err(Error::Kafka)?;
        tracing::info!(?topics, partitions, "created topics");
        Ok(())
    }

    /// The largest batch that a source takes; `None` when it cannot be found out: then it is the brokers' default.
    async fn size_limit(&self, source: &str) -> Option<u64> {
        const LIMIT: &str = "max.message.bytes";
        let config = self.topics.config(source, &[LIMIT]).await.ok()??;
        config
            .get(LIMIT)?
            .parse()
            .ok()
            .filter(|limit| *limit < u64::from(u32::MAX >> 1) - HEADROOM)
    }
}

/// Waits; false when it was told to stop meanwhile.
async fn pause(stop: &CancellationToken, duration: Duration) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        () = sleep(duration) => true,
    }
}

/// An error with its causes, in one line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
