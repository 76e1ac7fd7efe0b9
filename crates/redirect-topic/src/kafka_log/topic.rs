//! Redirect topics are found, or made.

use cdc_kafka::{TopicConfig, TopicInfo, TopicSettings};

use super::KafkaLog;
use crate::error::Error;
use crate::log::SourcePartition;

/// What a record may grow by.
const HEADROOM: u64 = 64 * 1024;

impl KafkaLog {
    /// Makes the topic if it is missing and may be made. How many partitions it has.
    pub(super) async fn prepare(&self, topic: &str, of: &SourcePartition) -> Result<i32, Error> {
        const POLICY: &str = "cleanup.policy";
        let failed = Error::while_("find or make", topic);
        if let Some(partitions) = self.partitions(topic).await? {
            // Who may not see it has to take it on trust.
            let config = self.topics.config(topic, &[POLICY]).await.ok().flatten();
            let policy = config.and_then(|mut config| config.remove(POLICY));
            return match policy {
                Some(policy) if policy != "compact" => Err(Error::NotCompacted {
                    topic: topic.to_owned(),
                    policy,
                }),
                Some(_) | None => Ok(partitions),
            };
        }
        let Some(creation) = self.creation else {
            return Err(Error::Missing {
                topic: topic.to_owned(),
            });
        };
        let settings = TopicSettings {
            partitions: of.partition_count,
            replication_factor: creation.replication_factor,
        };
        let mut config = TopicConfig::compacted();
        if let Some(limit) = self.size_limit(&of.topic).await {
            config = config.with("max.message.bytes", (limit + HEADROOM).to_string());
        }
        let names = [topic.to_owned()];
        self.topics
            .ensure_with(&names, settings, config)
            .await
            .map_err(failed)?;
        tracing::info!(
            topic,
            partitions = of.partition_count,
            "created a redirect topic"
        );
        // Another may have created it with other partitions; a broker may not know it yet.
        Ok(self.partitions(topic).await?.unwrap_or(of.partition_count))
    }

    async fn partitions(&self, topic: &str) -> Result<Option<i32>, Error> {
        let found = self
            .topics
            .describe(&[topic.to_owned()])
            .await
            .map_err(Error::while_("find", topic))?;
        Ok(found.into_iter().find_map(|info| match info {
            TopicInfo::Present { partitions, .. } => i32::try_from(partitions).ok(),
            TopicInfo::Missing { .. } => None,
        }))
    }

    /// The largest batch that the source takes; `None` when it cannot be found out: then it is the brokers' default.
    async fn size_limit(&self, source: &str) -> Option<u64> {
        const LIMIT: &str = "max.message.bytes";
        let config = self.topics.config(source, &[LIMIT]).await.ok()??;
        let limit = config.get(LIMIT)?.parse().ok();
        limit.filter(|limit| *limit < u64::from(u32::MAX >> 1) - HEADROOM)
    }
}
