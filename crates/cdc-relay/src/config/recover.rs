//! Section `[recover]`.

mod ordering;
mod retry;

use std::fmt;
use std::num::NonZeroUsize;

use cdc_outbox::is_topic_name;
use recovery::{DeadLetterTemplate, RetryTemplate};
use serde::{Deserialize, Deserializer, de};

pub(crate) use self::ordering::{GroupOrdering, OrderBackend};
use self::ordering::{OnDeadHead, OrderingConfig};
pub(crate) use self::retry::RetryConfig;
use super::value::text;
use super::{Invalid, Span, require};

/// What becomes of records that fail.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RecoverConfig {
    /// The groups that are run by, or dead-letter to, this system.
    pub(crate) consumer: Vec<ConsumerConfig>,
    /// Who is told.
    pub(crate) alert: AlertConfig,
}

/// A consumer group.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConsumerConfig {
    /// Its name.
    pub(crate) group: String,
    /// The topics that it reads; those of `[notify]` if it is the notifier's.
    #[serde(default)]
    pub(crate) topics: Vec<String>,
    #[serde(default, deserialize_with = "text")]
    ordering: OrderingConfig,
    on_dead_head: Option<OnDeadHead>,
    order_backend: Option<OrderBackend>,
    /// How often and how long a record is tried.
    #[serde(default)]
    pub(crate) retry: RetryConfig,
    /// What retry topics are called.
    #[serde(default, deserialize_with = "retry_topic")]
    pub(crate) retry_topic: RetryTemplate,
    /// What dead-letter topics are called.
    #[serde(default, deserialize_with = "dead_letter")]
    pub(crate) dead_letter: DeadLetterTemplate,
    /// Records that are handled at the same time, if it is run here.
    pub(crate) concurrency: Option<NonZeroUsize>,
    /// Its name in the group, for static membership.
    pub(crate) instance_id: Option<String>,
}

/// Who is told of failures.
#[derive(Clone, Deserialize)]
pub(crate) struct AlertConfig {
    /// Where to; empty: nobody is told.
    pub(crate) webhook: String,
    /// What is understood there.
    pub(crate) format: String,
    /// Failures of one reason are told once in this time.
    pub(crate) window: Span,
}

impl RecoverConfig {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        for (index, consumer) in self.consumer.iter().enumerate() {
            require(
                !consumer.group.is_empty() && is_topic_name(&consumer.group),
                "recover.consumer",
                "have groups with names that topics can have in theirs: letters, digits, '.', '_' and '-'",
            )?;
            require(
                self.consumer[..index]
                    .iter()
                    .all(|other| other.group != consumer.group),
                "recover.consumer",
                format!("name each group once, and not {:?} twice", consumer.group),
            )?;
            require(
                consumer.on_dead_head.is_none() || consumer.ordering == OrderingConfig::Key,
                "recover.consumer",
                format!(
                    "have on_dead_head only beside ordering = \"key\", unlike that of {:?}",
                    consumer.group
                ),
            )?;
            require(
                consumer.order_backend.is_none() || consumer.ordering == OrderingConfig::Key,
                "recover.consumer",
                format!(
                    "have order_backend only beside ordering = \"key\", unlike that of {:?}",
                    consumer.group
                ),
            )?;
            consumer.retry.plan().map_err(|error| {
                Invalid::new(
                    "recover.consumer",
                    format!(
                        "have a retry that can be, unlike that of {:?}: {error}",
                        consumer.group
                    ),
                )
            })?;
        }
        require(
            webhook::Format::parse(&self.alert.format, None).is_ok(),
            "recover.alert.format",
            "be one of json, cloudevents, jandi, slack and discord",
        )
    }

    /// What is configured for a group.
    pub(crate) fn of_group(&self, group: &str) -> Option<&ConsumerConfig> {
        self.consumer
            .iter()
            .find(|consumer| consumer.group == group)
    }
}

impl ConsumerConfig {
    /// Whether a key's records wait for one of them that fails.
    pub(crate) fn ordering(&self) -> GroupOrdering {
        match self.ordering {
            OrderingConfig::None => GroupOrdering::None,
            OrderingConfig::Key => GroupOrdering::Key {
                dead_head: self.on_dead_head.unwrap_or_default().into(),
                backend: self.order_backend.unwrap_or_default(),
            },
        }
    }
}

impl fmt::Debug for AlertConfig {
    /// Without the URL: whoever has it can write to the chat.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlertConfig")
            .field("is_set", &!self.webhook.is_empty())
            .field("format", &self.format)
            .field("window", &self.window)
            .finish()
    }
}

fn retry_topic<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RetryTemplate, D::Error> {
    let text = String::deserialize(deserializer)?;
    RetryTemplate::parse(&text).map_err(de::Error::custom)
}

fn dead_letter<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DeadLetterTemplate, D::Error> {
    let text = String::deserialize(deserializer)?;
    DeadLetterTemplate::parse(&text).map_err(de::Error::custom)
}
