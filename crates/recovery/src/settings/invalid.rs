//! Settings that cannot be.

use std::num::NonZeroU32;

use crate::names::InvalidNames;

/// Why settings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSettings {
    /// The name of the group.
    #[error("the name of the consumer group cannot be used: {reason}")]
    Group {
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// Nothing to read.
    #[error("there is no topic to read")]
    NoTopic,
    /// The names of topics.
    #[error(transparent)]
    Names(#[from] InvalidNames),
    /// The window of the breaker.
    #[error(
        "an outage cannot be {threshold} failures of the last {window} records: at most 64, and no more failures than records"
    )]
    Breaker {
        /// Records.
        window: u32,
        /// Failures among them.
        threshold: NonZeroU32,
    },
    /// A time of 0 that would make a busy loop.
    #[error("the {setting} is 0")]
    NoInterval {
        /// Which one.
        setting: &'static str,
    },
}
