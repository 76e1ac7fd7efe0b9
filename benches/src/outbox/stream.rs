//! What tells one relay of an outbox from another.

use cdc_e2e::relay::RelayOptions;
use serde::{Deserialize, Serialize};

/// How a relay sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Delivery {
    /// With an idempotent producer.
    AtLeastOnce,
    /// In Kafka transactions; the relay's default.
    ExactlyOnce,
}

/// A slot with all that a relay needs to send what comes from it.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    slot: String,
    publication: String,
    /// What its topics' names begin with.
    topics: String,
    delivery: Delivery,
}

impl Delivery {
    /// As `relay.delivery` calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AtLeastOnce => "at_least_once",
            Self::ExactlyOnce => "exactly_once",
        }
    }
}

impl Stream {
    /// From `slot`, which need not exist yet, into topics that have its name.
    pub(super) fn new(slot: String, publication: &str, delivery: Delivery) -> Self {
        Self {
            topics: slot.clone(),
            slot,
            publication: publication.to_owned(),
            delivery,
        }
    }

    /// Into the topics of `other`.
    pub(crate) fn beside(mut self, other: &Self) -> Self {
        self.topics.clone_from(&other.topics);
        self
    }

    /// Its slot.
    pub(crate) fn slot(&self) -> &str {
        &self.slot
    }

    /// Its publication.
    pub(crate) fn publication(&self) -> &str {
        &self.publication
    }

    /// The topic of aggregate type `order`.
    pub(crate) fn topic(&self) -> String {
        format!("{}.order", self.topics)
    }

    /// Where its relay remembers how far it has come.
    pub(crate) fn checkpoint_topic(&self) -> String {
        format!("{}.checkpoint", self.slot)
    }

    /// `options` for this stream.
    pub(super) fn options(&self, options: &RelayOptions) -> RelayOptions {
        let Self {
            slot,
            publication,
            topics,
            delivery,
        } = self;
        options
            .clone()
            .with("CDC_RELAY__SLOT", slot)
            .with("CDC_RELAY__PUBLICATION", publication)
            .with("CDC_RELAY__DELIVERY", delivery.name())
            .with("CDC_RELAY__CHECKPOINT_TOPIC", self.checkpoint_topic())
            .with("CDC_OUTBOX__TOPIC", format!("{topics}.${{routedByValue}}"))
    }
}
