//! Whether a key's records wait for one of them that fails, as it is written.

use std::str::FromStr;

use ordered_lanes::DeadHead;
use serde::{Deserialize, Deserializer};

use crate::config::value::text;

/// Whether a key's records wait for one of them that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupOrdering {
    /// They go on while it is in a retry topic.
    None,
    /// They wait.
    Key {
        /// What becomes of them when it is given up.
        dead_head: DeadHead,
        /// Where.
        backend: OrderBackend,
    },
}

/// Where records wait for one of their key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum OrderBackend {
    /// In lanes in the database of the stores.
    #[default]
    Lanes,
    /// In a compacted topic.
    RedirectTopic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum OrderingConfig {
    #[default]
    None,
    Key,
}

/// Whoever asks for order is not to lose it unasked: they wait, unless it is said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct OnDeadHead(DeadHead);

impl From<OnDeadHead> for DeadHead {
    fn from(policy: OnDeadHead) -> Self {
        policy.0
    }
}

impl FromStr for OrderingConfig {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            "key" => Ok(Self::Key),
            _ => Err(format!("{text:?} is no ordering: \"none\", \"key\"")),
        }
    }
}

impl FromStr for OrderBackend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "lanes" => Ok(Self::Lanes),
            "redirect_topic" => Ok(Self::RedirectTopic),
            _ => Err(format!(
                "{text:?} is no place to wait in order: \"lanes\", \"redirect_topic\""
            )),
        }
    }
}

impl<'de> Deserialize<'de> for OrderBackend {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer)
    }
}

impl FromStr for OnDeadHead {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "hold" => Ok(Self(DeadHead::Hold)),
            "skip" => Ok(Self(DeadHead::Skip)),
            "dead_letter_lane" => Ok(Self(DeadHead::DeadLetterLane)),
            _ => Err(format!(
                "{text:?} is no policy for a dead head: \"hold\", \"skip\", \"dead_letter_lane\""
            )),
        }
    }
}

impl<'de> Deserialize<'de> for OnDeadHead {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer)
    }
}
