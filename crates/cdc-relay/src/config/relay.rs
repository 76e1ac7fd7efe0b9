//! Section `[relay]`.

use std::str::FromStr;
use std::time::Duration;

use pg_replication::{PublicationName, SlotName};
use serde::Deserialize;

use super::value::text;
use super::{Invalid, Size, Span, require};

/// How the outbox is streamed.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RelayConfig {
    /// The replication slot.
    #[serde(deserialize_with = "text")]
    pub(crate) slot: SlotName,
    /// The publication.
    #[serde(deserialize_with = "text")]
    pub(crate) publication: PublicationName,
    /// What is promised about an event that is sent twice.
    #[serde(deserialize_with = "text")]
    pub(crate) delivery: Delivery,
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
        // A mode with needs of its own states them here.
        match self.delivery {
            Delivery::AtLeastOnce => Ok(()),
        }
    }
}

impl FromStr for Delivery {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "at_least_once" => Ok(Self::AtLeastOnce),
            "exactly_once" => Err(
                "\"exactly_once\" is not in this version yet; the only mode is \"at_least_once\""
                    .to_owned(),
            ),
            other => Err(format!(
                "{other:?} is not a delivery mode; the only one is \"at_least_once\""
            )),
        }
    }
}
