//! What the topics of a group are called.

mod template;

use std::collections::{BTreeMap, BTreeSet};

use cdc_event::ErrorCode;

pub(crate) use self::template::check;
pub use self::template::{DeadLetterTemplate, InvalidTemplate, InvalidTopicName, RetryTemplate};
use crate::plan::{RetryPlan, Tier};

/// The topics of a group: its sources, the retry topics and dead letters of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    group: String,
    sources: Vec<SourceNames>,
}

/// The topics of a source topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceNames {
    /// The source.
    pub topic: String,
    /// The retry topics, by tier; at least one, where replays enter.
    pub retries: Vec<String>,
    /// The dead letters.
    pub dead_letter: String,
    /// The dead letters of codes that have their own.
    pub dead_letter_of: BTreeMap<ErrorCode, String>,
}

/// Why topics cannot be called so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNames {
    /// A name that Kafka refuses.
    #[error(transparent)]
    Name(#[from] InvalidTopicName),
    /// One topic would have two meanings.
    #[error("the topic {topic:?} would be {first} and {second}")]
    Twice {
        /// The topic.
        topic: String,
        /// The one meaning.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
}

impl Names {
    pub(crate) fn new(
        group: &str,
        topics: &[String],
        retry: &RetryTemplate,
        dead_letter: &DeadLetterTemplate,
        plan: &RetryPlan,
    ) -> Result<Self, InvalidNames> {
        let mut sources = Vec::with_capacity(topics.len());
        for topic in topics {
            check(topic)?;
            let retries = plan
                .retry_topics()
                .map(|tier| retry.name(topic, group, tier.number()));
            let of_code = |(code, template): (&ErrorCode, &DeadLetterTemplate)| {
                Ok::<_, InvalidTopicName>((code.clone(), template.name(topic, group)?))
            };
            sources.push(SourceNames {
                topic: topic.clone(),
                retries: retries.collect::<Result<_, _>>()?,
                dead_letter: dead_letter.name(topic, group)?,
                dead_letter_of: plan.dead_letters().map(of_code).collect::<Result<_, _>>()?,
            });
        }
        let names = Self {
            group: group.to_owned(),
            sources,
        };
        names.check_meanings()?;
        Ok(names)
    }

    /// The group that reads the sources.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The group that reads the retry topics: one of its own, so that it does not disturb the other.
    #[must_use]
    pub fn retry_group(&self) -> String {
        format!("{}.retry", self.group)
    }

    /// The topics of each source.
    #[must_use]
    pub fn sources(&self) -> &[SourceNames] {
        &self.sources
    }

    /// All retry topics.
    pub fn retry_topics(&self) -> impl Iterator<Item = &str> {
        self.sources
            .iter()
            .flat_map(|source| source.retries.iter().map(String::as_str))
    }

    /// Where a replay of a record of this source enters; `None` for a topic that is no source.
    #[must_use]
    pub fn replay_entry(&self, source: &str) -> Option<&str> {
        let names = self.sources.iter().find(|names| names.topic == source)?;
        names.retries.first().map(String::as_str)
    }

    /// The source and tier that a retry topic belongs to.
    pub(crate) fn of_retry(&self, topic: &str) -> Option<(&SourceNames, Tier)> {
        self.sources.iter().find_map(|source| {
            let index = source.retries.iter().position(|retry| retry == topic)?;
            Some((source, Tier::of_index(index)))
        })
    }

    /// Only dead letters of several sources may share a topic.
    fn check_meanings(&self) -> Result<(), InvalidNames> {
        const SOURCE: &str = "a source";
        const RETRY: &str = "a retry topic";
        const DEAD: &str = "a dead-letter topic";
        let mut seen: BTreeMap<&str, &'static str> = BTreeMap::new();
        let mut add = |topic, second| match seen.insert(topic, second) {
            Some(first) => Err(InvalidNames::Twice {
                topic: topic.to_owned(),
                first,
                second,
            }),
            None => Ok(()),
        };
        for source in &self.sources {
            add(&source.topic, SOURCE)?;
        }
        for topic in self.retry_topics() {
            add(topic, RETRY)?;
        }
        for topic in self.dead_letter_topics() {
            add(topic, DEAD)?;
        }
        Ok(())
    }

    /// All dead-letter topics, each once.
    pub fn dead_letter_topics(&self) -> BTreeSet<&str> {
        let topics = self.sources.iter().flat_map(|source| {
            std::iter::once(&source.dead_letter).chain(source.dead_letter_of.values())
        });
        topics.map(String::as_str).collect()
    }
}
