//! What is known of an event and an endpoint.

mod claim;
mod settle;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::endpoint::EndpointId;

pub(crate) use claim::{Claim, Claiming, UNKNOWN};
pub(crate) use settle::{Settlement, Settling};

/// An event for an endpoint: what is sent once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DeliveryKey {
    pub(crate) event: Arc<str>,
    pub(crate) endpoint: EndpointId,
}

/// Counts the claims of a delivery: what an older holder has to say no longer counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch(pub(crate) i64);

/// This process, for as long as it lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner(pub(crate) Arc<str>);

/// What became of a delivery: claimed → delivered, or one of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeliveryState {
    /// Somebody sends it, or did when the process died.
    Claimed,
    /// It failed and comes again.
    Retrying,
    /// The endpoint has it.
    Delivered,
    /// It was refused for good.
    Failed,
    /// It may have arrived, and is not sent again unless somebody says so.
    Unknown,
    /// The endpoint was disabled.
    Missed,
}

/// The text is no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the state of a delivery")]
pub struct UnknownDeliveryState(String);

/// What asking for a delivery gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// It is ours.
    Ours(Epoch),
    /// Somebody else may be sending it.
    Elsewhere { retry_after: Duration },
    /// It arrived before.
    Delivered,
    /// It was refused for good, with this code.
    Failed { code: String },
    /// It may have arrived before.
    Unknown,
    /// It was asked for before, and failed when nobody waited for it any more. This is told once.
    Untold {
        code: String,
        status: Option<u16>,
        /// It was not refused for good.
        again: bool,
    },
}

impl Epoch {
    /// That of a delivery's first claim.
    pub(crate) const FIRST: Self = Self(1);
}

impl Owner {
    /// A name that no other process has.
    pub(crate) fn new() -> Self {
        let random = [cdc_event::random_number(), cdc_event::random_number()];
        Self(format!("{:016x}{:016x}", random[0], random[1]).into())
    }
}

impl DeliveryState {
    const ALL: [Self; 6] = [
        Self::Claimed,
        Self::Retrying,
        Self::Delivered,
        Self::Failed,
        Self::Unknown,
        Self::Missed,
    ];

    /// As the table has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Retrying => "retrying",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Missed => "missed",
        }
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for DeliveryState {
    type Err = UnknownDeliveryState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| UnknownDeliveryState(text.chars().take(64).collect()))
    }
}
