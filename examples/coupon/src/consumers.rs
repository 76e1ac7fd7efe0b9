//! The two consumers: of the requests, and of those of them that are dead letters.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use cdc_kafka::{KafkaOptions, TopicConfig, TopicSettings, Topics};
use recovery::{BlockingRetry, DeadLetterTemplate, RetryPlan, Runner, Settings, Status};

use crate::desk::Desk;
use crate::issuer::Issuer;
use crate::settings::ConsumerSettings;
use crate::switches::{Stage, Switches};

/// How long one question to the cluster may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What not even the handler of dead letters can do, `cdc-relay recover run` takes from there into the store.
const FAILED: &str = "{topic}.failed";

/// Both consumers, ready to run.
#[derive(Debug)]
pub(crate) struct Consumers {
    pub(crate) requests: Runner<Issuer>,
    pub(crate) dead_letters: Runner<Issuer>,
}

/// What both say of themselves.
#[derive(Debug, Clone)]
pub(crate) struct Statuses {
    pub(crate) requests: Status,
    pub(crate) dead_letters: Status,
}

impl Consumers {
    /// Makes the topics that both read, and the runners.
    ///
    /// # Errors
    ///
    /// Kafka cannot be reached or refuses; a setting cannot be.
    pub(crate) async fn prepare(
        brokers: &str,
        settings: &ConsumerSettings,
        desk: &Arc<Desk>,
        switches: &Arc<Switches>,
    ) -> Result<Self> {
        let options = KafkaOptions::new(brokers);
        let (topic, group) = (&settings.topic, &settings.group);
        let template = DeadLetterTemplate::parse(&settings.dead_letter)?;
        let letters = template.name(topic, group)?;
        make_topics(&options, topic, &letters, settings.partitions).await?;

        let requests = Settings {
            dead_letter: template,
            // Those with an odd id are many in this story: that they fail is no outage.
            breaker: None,
            instance_id: settings.instance_id.clone(),
            ..Settings::new(group, vec![topic.clone()], plan(settings, true)?)
        };
        let dead_letters = Settings {
            dead_letter: DeadLetterTemplate::parse(FAILED)?,
            concurrency: settings.dlt_concurrency,
            // When all of them fail somebody is to hear of it, not to wait until it has passed.
            breaker: None,
            instance_id: settings.instance_id.clone(),
            ..Settings::new(
                format!("{group}-dlt"),
                vec![letters],
                plan(settings, false)?,
            )
        };
        let issuer = |stage| Issuer {
            stage,
            desk: Arc::clone(desk),
            switches: Arc::clone(switches),
        };
        Ok(Self {
            requests: Runner::new(options.clone(), requests, issuer(Stage::Requests))?,
            dead_letters: Runner::new(options, dead_letters, issuer(Stage::DeadLetters))?,
        })
    }

    /// To look at them while they run.
    pub(crate) fn statuses(&self) -> Statuses {
        Statuses {
            requests: self.requests.status(),
            dead_letters: self.dead_letters.status(),
        }
    }
}

fn plan(settings: &ConsumerSettings, with_tiers: bool) -> Result<RetryPlan> {
    let blocking = match settings.retries {
        0 => BlockingRetry::None,
        retries => BlockingRetry::Fixed {
            delay: settings.retry_delay,
            retries,
        },
    };
    let tiers = if with_tiers {
        settings.retry_tiers.clone()
    } else {
        Vec::new()
    };
    Ok(RetryPlan::new(blocking, tiers)?)
}

/// A consumer would wait for a source that is missing: nobody has to, when the one who reads it makes it.
async fn make_topics(
    options: &KafkaOptions,
    topic: &str,
    letters: &str,
    partitions: i32,
) -> Result<()> {
    let topics = Topics::new(options.clone(), TIMEOUT);
    let settings = TopicSettings {
        partitions,
        replication_factor: -1,
    };
    topics
        .ensure(&[topic.to_owned()], settings)
        .await
        .context("make the topic of the requests")?;
    // Dead letters wait for as long as it takes.
    let for_ever = TopicConfig::new().with("retention.ms", "-1");
    topics
        .ensure_with(&[letters.to_owned()], settings, for_ever)
        .await
        .context("make the topic of the dead letters")?;
    Ok(())
}
