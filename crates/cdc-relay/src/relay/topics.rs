//! Makes sure that a topic is there before the first record goes to it.

use std::time::Duration;

use cdc_kafka::{TopicConfig, TopicInfo, TopicOutcome, TopicSettings, Topics};
use tokio::time::Instant;

use super::Relay;
use super::error::{Next, RelayError};
use crate::complaints::Complaints;
use crate::failure::Failure;

/// How long Kafka may take to say whether a topic exists, or to make it.
const TOPIC_TIMEOUT: Duration = Duration::from_secs(10);

/// How long it may take for the first answer. Twice as long the next time: a cluster may be slow, and whoever waits for one
/// that is away wants to know soon.
const FIRST_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a topic that is not to be created may be missing, and how often it is looked for meanwhile.
const TOPIC_PATIENCE: Duration = Duration::from_secs(10);
const TOPIC_POLL: Duration = Duration::from_millis(500);

/// Looks for topics and creates them.
#[derive(Debug)]
pub(super) struct TopicFinder<'a> {
    relay: &'a Relay,
    topics: Topics,
}

impl<'a> TopicFinder<'a> {
    pub(super) fn new(relay: &'a Relay) -> Self {
        Self {
            relay,
            topics: Topics::new(relay.kafka.clone(), TOPIC_TIMEOUT),
        }
    }

    /// Whether Kafka answers, and every partition of these topics has a leader.
    pub(super) async fn have_leaders(&self, topics: &[String]) -> bool {
        self.topics
            .describe(topics)
            .await
            .is_ok_and(|found| found.iter().all(has_leaders))
    }

    /// Finds or creates the topic, however long Kafka is away.
    pub(super) async fn find(&self, topic: &str) -> Result<(), RelayError> {
        let settings = self.relay.topics;
        let complaints = Complaints::default();
        self.find_with(topic, settings, TopicConfig::new(), &complaints)
            .await
    }

    async fn find_with(
        &self,
        topic: &str,
        settings: TopicSettings,
        config: TopicConfig,
        complaints: &Complaints,
    ) -> Result<(), RelayError> {
        let relay = self.relay;
        let mut login_refused = false;
        let mut timeout = FIRST_TIMEOUT;
        loop {
            let config = config.clone();
            let error = match self.ask_for(topic, settings, config, timeout).await {
                Err(error) if error.next() == Next::Reconnect => error,
                // A broker that is just starting refuses users whom it will know in a moment.
                Err(error) if error.refuses_login() && !login_refused => error,
                done => {
                    if complaints.were_made() {
                        relay.state.recovered();
                    }
                    return done;
                }
            };
            login_refused = error.refuses_login();
            if !login_refused {
                timeout = TOPIC_TIMEOUT.min(2 * timeout);
            }
            let failure = Failure::from_relay(error, &relay.config);
            complaints.about("Kafka", &failure);
            relay.state.failed(&failure);
            tokio::time::sleep(TOPIC_POLL).await;
        }
    }

    /// As [`find`](Self::find), for the topic of the checkpoints.
    pub(super) async fn find_checkpoints(
        &self,
        topic: &str,
        complaints: &Complaints,
    ) -> Result<(), RelayError> {
        let settings = TopicSettings {
            partitions: 1,
            ..self.relay.topics
        };
        self.find_with(topic, settings, TopicConfig::compacted(), complaints)
            .await
            .map_err(|error| match error {
                RelayError::TopicMissing { topic } => RelayError::CheckpointTopicMissing { topic },
                other => other,
            })
    }

    /// Creates the topic if that is wanted, otherwise waits a little for it: a cluster that is just starting denies
    /// topics that it has.
    async fn ask_for(
        &self,
        topic: &str,
        settings: TopicSettings,
        config: TopicConfig,
        timeout: Duration,
    ) -> Result<(), RelayError> {
        let names = [topic.to_owned()];
        let failed = |source| RelayError::Kafka {
            doing: "look for the topic or create it",
            source,
        };
        let found = Topics::new(self.relay.kafka.clone(), timeout);
        let found = found.describe(&names).await.map_err(failed)?;
        if let [TopicInfo::Present { .. }] = found.as_slice() {
            return Ok(());
        }
        if self.relay.config.kafka.topics.create {
            let partitions = settings.partitions;
            let outcomes = self
                .topics
                .ensure_with(&names, settings, config)
                .await
                .map_err(failed)?;
            if let [TopicOutcome::Created { topic }] = outcomes.as_slice() {
                tracing::info!(topic, partitions, "created the topic");
            }
            return Ok(());
        }
        let patience = Instant::now() + TOPIC_PATIENCE;
        loop {
            match self
                .topics
                .describe(&names)
                .await
                .map_err(failed)?
                .as_slice()
            {
                [TopicInfo::Missing { topic }] if Instant::now() >= patience => {
                    return Err(RelayError::TopicMissing {
                        topic: topic.clone(),
                    });
                }
                [TopicInfo::Missing { .. }] => tokio::time::sleep(TOPIC_POLL).await,
                _ => return Ok(()),
            }
        }
    }
}

fn has_leaders(topic: &TopicInfo) -> bool {
    match topic {
        TopicInfo::Present { without_leader, .. } => without_leader.is_empty(),
        TopicInfo::Missing { .. } => false,
    }
}
