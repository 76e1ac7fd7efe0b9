//! Section `[recover]`.

mod retry;

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use cdc_outbox::is_topic_name;
use recovery::{DeadLetterTemplate, RetryTemplate};
use serde::{Deserialize, Deserializer, de};

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
    /// Whether a key's records wait for one of them that fails. There is one answer so far.
    #[serde(default, rename = "ordering", deserialize_with = "text")]
    _ordering: Ordering,
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

/// Records of a key don't wait for one that is in a retry topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Ordering;

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

impl FromStr for Ordering {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self),
            _ => Err(format!(
                "{text:?} is no ordering that this version has: \"none\""
            )),
        }
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
