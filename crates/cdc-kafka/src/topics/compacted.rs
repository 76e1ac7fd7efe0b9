//! Topics that keep the newest record of each key.

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::types::RDKafkaErrorCode;
use tokio::runtime::Handle;

use super::{TopicInfo, TopicOutcome, Topics};
use crate::client::BrokerReports;
use crate::code::KafkaCode;
use crate::error::Error;
use crate::options::configuration_error;

/// A small topic is compacted only when a segment is closed, and then only when much of it is superseded.
const SETTINGS: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("min.cleanable.dirty.ratio", "0.1"),
    ("segment.bytes", "16777216"),
    ("segment.ms", "3600000"),
];

impl Topics {
    /// Creates a compacted topic of one partition unless it exists; -1 leaves the number of replicas to the brokers.
    ///
    /// # Errors
    ///
    /// As [`ensure`](Self::ensure).
    pub async fn ensure_compacted(
        &self,
        topic: &str,
        replication_factor: i32,
    ) -> Result<TopicOutcome, Error> {
        const ACTION: &str = "create a topic";
        let found = self.describe(&[topic.to_owned()]).await?;
        let topic = topic.to_owned();
        if !matches!(found.as_slice(), [TopicInfo::Missing { .. }]) {
            return Ok(TopicOutcome::Existed { topic });
        }
        let (options, timeout) = (self.options.clone(), self.timeout);
        let create = move || {
            let config = options.client_config()?;
            let admin = AdminClient::from_config_and_context(&config, BrokerReports::default())
                .map_err(configuration_error)?;
            let replication = TopicReplication::Fixed(replication_factor);
            let mut new = NewTopic::new(&topic, 1, replication);
            for (name, value) in SETTINGS {
                new = new.set(name, value);
            }
            let limits = AdminOptions::new()
                .request_timeout(Some(timeout))
                .operation_timeout(Some(timeout));
            let results = Handle::current()
                .block_on(admin.create_topics(&[new], &limits))
                .map_err(|error| Error::Unreachable {
                    action: ACTION,
                    brokers: options.brokers.clone(),
                    detail: None,
                    code: KafkaCode::of(&error),
                })?;
            match results.into_iter().next() {
                None | Some(Ok(_)) => Ok(TopicOutcome::Created { topic }),
                Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => {
                    Ok(TopicOutcome::Existed { topic })
                }
                Some(Err((_, code))) => Err(Error::Topic {
                    action: "create",
                    topic,
                    code: KafkaCode::new(code),
                }),
            }
        };
        tokio::task::spawn_blocking(create)
            .await
            .map_err(|_| Error::Abandoned)?
    }
}
