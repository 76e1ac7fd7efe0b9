//! Properties of topics, by Kafka's own names.

use std::collections::BTreeMap;

/// Properties that a topic is created with, by Kafka's own names. What is not named is the brokers' default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopicConfig(BTreeMap<String, String>);

impl TopicConfig {
    /// The brokers' defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the newest record of each key. Compaction sets in early and often, so that a topic whose few keys are
    /// written all the time stays small: after ten minutes or 16 MiB, and in what has been written since, as soon as a
    /// tenth can go.
    #[must_use]
    pub fn compacted() -> Self {
        Self::new()
            .with("cleanup.policy", "compact")
            // Only closed segments are compacted.
            .with("segment.bytes", "16777216")
            .with("segment.ms", "600000")
            .with("min.cleanable.dirty.ratio", "0.1")
            // How long a reader may take from seeing a value to seeing its tombstone.
            .with("delete.retention.ms", "3600000")
    }

    /// Adds or replaces a property.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
