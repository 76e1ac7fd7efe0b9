//! Section `[relay]`.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use cdc_outbox::is_topic_name;
use pg_replication::{PublicationName, SlotName};
use serde::Deserialize;

use super::value::text;
use super::{Invalid, Size, Span, require};
use crate::shard::{Shard, Shards};

/// How the outbox is streamed.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RelayConfig {
    /// The replication slot.
    #[serde(deserialize_with = "text")]
    pub(crate) slot: SlotName,
    /// The publication.
    #[serde(deserialize_with = "text")]
    pub(crate) publication: PublicationName,
    /// How many slots share the outbox.
    #[serde(deserialize_with = "count")]
    pub(crate) shards: Shards,
    /// The one that slot and publication are of; `None` when there is only one, or all are meant.
    #[serde(skip)]
    pub(crate) shard: Option<Shard>,
    /// What is promised about an event that is sent twice.
    #[serde(deserialize_with = "text")]
    pub(crate) delivery: Delivery,
    /// Where the relay remembers how far it has come.
    pub(crate) checkpoint_topic: String,
    /// What to do when the slot does not continue where the relay stopped.
    #[serde(deserialize_with = "text")]
    pub(crate) on_gap: OnGap,
    /// Whether rows from before the slot are sent.
    #[serde(deserialize_with = "text")]
    pub(crate) snapshot: Snapshot,
    /// What to do with an event that can't be sent.
    #[serde(deserialize_with = "text")]
    pub(crate) poison: Poison,
    /// How long a Kafka transaction stays open while the relay keeps up.
    pub(crate) transaction_interval: Span,
    /// The most records of a Kafka transaction.
    pub(crate) transaction_max_records: NonZeroU32,
    /// Without one byte from PostgreSQL for this long, the connection counts as dead.
    pub(crate) wire_timeout: Span,
    /// How long an orderly stop may take.
    pub(crate) shutdown_deadline: Span,
    /// Bytes of records that may wait for Kafka's acknowledgement.
    pub(crate) max_in_flight: Size,
}

/// The delivery guarantee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Every committed event arrives; after a crash some arrive again.
    AtLeastOnce,
    /// To a consumer that reads only what is committed, every committed event arrives once.
    ExactlyOnce,
}

/// What to do when events may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnGap {
    /// Stop, and say what is missing.
    Fail,
    /// Say what is missing, and go on.
    Accept,
    /// Send what the outbox tables still have of it, and go on.
    ReplayTable,
}

/// Which rows of the outbox are sent that were there before the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Snapshot {
    /// None.
    Never,
    /// All of them, before the stream.
    Initial,
}

/// What becomes of an event that can't be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Poison {
    /// Nothing after it is sent until somebody deals with it.
    Stop,
    /// It is stored in `cdc.failed_event`, and the others go on.
    Park,
}

impl RelayConfig {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        require(
            self.wire_timeout.get() >= Duration::from_secs(1),
            "relay.wire_timeout",
            "be at least \"1s\"",
        )?;
        require(
            self.shutdown_deadline.get() >= Duration::from_millis(100),
            "relay.shutdown_deadline",
            "be at least \"100ms\"",
        )?;
        require(
            (1 << 16..=1 << 30).contains(&self.max_in_flight.bytes()),
            "relay.max_in_flight",
            "be between \"64KiB\" and \"1GiB\"",
        )?;
        require(
            is_topic_name(&self.checkpoint_topic),
            "relay.checkpoint_topic",
            "be a topic name: letters, digits, '.', '_' and '-', at most 249",
        )?;
        require(
            (Duration::from_millis(1)..=Duration::from_secs(5))
                .contains(&self.transaction_interval.get()),
            "relay.transaction_interval",
            "be between \"1ms\" and \"5s\"",
        )?;
        let names = self
            .shards
            .each()
            .all(|shard| self.names_of(shard).is_some());
        require(
            names,
            "relay.shards",
            "leave room in the names of slot and publication: they get up to 7 characters more",
        )
    }

    /// The name from which those of all shards' slots are made.
    pub(crate) fn base_slot(&self) -> &str {
        self.base(self.slot.as_str())
    }

    fn base<'a>(&self, name: &'a str) -> &'a str {
        let suffix = self.shard.map(|shard| shard.name(""));
        suffix
            .and_then(|suffix| name.strip_suffix(suffix.as_str()))
            .unwrap_or(name)
    }

    fn names_of(&self, shard: Shard) -> Option<(SlotName, PublicationName)> {
        let slot = shard.name(self.base_slot()).parse().ok()?;
        let publication = shard
            .name(self.base(self.publication.as_str()))
            .parse()
            .ok()?;
        Some((slot, publication))
    }

    /// The same for one shard: with its slot and its publication.
    pub(super) fn of_shard(&self, shard: Shard) -> Self {
        #[expect(
            clippy::expect_used,
            reason = "`validate` has made the names of every shard"
        )]
        let (slot, publication) = self.names_of(shard).expect("the names are valid");
        Self {
            slot,
            publication,
            shard: (shard.of() != Shards::ONE).then_some(shard),
            ..self.clone()
        }
    }
}

/// A number of shards, which the environment gives as text.
fn count<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Shards, D::Error> {
    let count = i64::deserialize(deserializer)?;
    count.to_string().parse().map_err(serde::de::Error::custom)
}

impl FromStr for Delivery {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        one_of(
            text,
            "delivery mode",
            &[
                ("exactly_once", Self::ExactlyOnce),
                ("at_least_once", Self::AtLeastOnce),
            ],
        )
    }
}

impl FromStr for OnGap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        one_of(
            text,
            "answer to a gap",
            &[
                ("fail", Self::Fail),
                ("accept", Self::Accept),
                ("replay_table", Self::ReplayTable),
            ],
        )
    }
}

impl FromStr for Snapshot {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let modes = [("never", Self::Never), ("initial", Self::Initial)];
        one_of(text, "snapshot mode", &modes)
    }
}

impl FromStr for Poison {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let policies = [("stop", Self::Stop), ("park", Self::Park)];
        one_of(text, "poison policy", &policies)
    }
}

/// The value of a word, or an error that names them all.
fn one_of<T: Copy>(text: &str, what: &str, words: &[(&str, T)]) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| *word == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        format!("{text:?} is no {what}: {}", words.join(", "))
    })
}
