//! An endpoint of webhooks.

mod row;

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use cdc_event::{InvalidPartId, PartId};

pub(crate) use row::{COLUMNS, EndpointRow};

/// The name of an endpoint, chosen by who adds it. It is the part of a record that is tried again.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(Arc<str>);

/// What is done when it is not known whether a request arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Guarantee {
    /// It is sent again, with the same `webhook-id`: for endpoints that drop duplicates by it.
    #[default]
    AtLeastOnce,
    /// It is never sent again by itself; somebody has to look: for endpoints that cannot, such as chats.
    AtMostOnce,
}

/// What an endpoint can bear.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Requests in flight, 1 to 1000.
    pub max_concurrency: NonZeroU32,
    /// Requests a second, 0.001 to 1,000,000; `None` is no limit.
    pub rate_per_second: Option<f64>,
    /// A record waits until the endpoint has answered, however long that takes. With a consumer that keeps the order
    /// of keys, the endpoint gets the events of a key in their order.
    pub ordered: bool,
}

/// Whether an endpoint is sent anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointState {
    /// It is.
    Enabled,
    /// It is not; what it would have got is noted as missed.
    Disabled {
        /// Who or what disabled it.
        reason: String,
        /// When.
        since: SystemTime,
    },
}

/// The text is no guarantee.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a guarantee; it is one of at_least_once and at_most_once")]
pub struct UnknownGuarantee(String);

impl EndpointId {
    /// Takes a name: 1 to 256 bytes without control characters.
    ///
    /// # Errors
    ///
    /// [`InvalidPartId`] for any other.
    pub fn new(name: &str) -> Result<Self, InvalidPartId> {
        PartId::new(name).map(|part| Self::from(&part))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the part of a record that this endpoint gets.
    #[must_use]
    pub fn part(&self) -> PartId {
        #[expect(clippy::expect_used, reason = "checked when it was made")]
        PartId::new(&*self.0).expect("the name of a part")
    }
}

impl From<&PartId> for EndpointId {
    fn from(part: &PartId) -> Self {
        Self(part.as_str().into())
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndpointId({:?})", &*self.0)
    }
}

impl Default for Limits {
    /// 8 requests in flight, at any rate, in any order.
    fn default() -> Self {
        Self {
            max_concurrency: NonZeroU32::MIN.saturating_add(7),
            rate_per_second: None,
            ordered: false,
        }
    }
}

impl Limits {
    /// As the table has it. What is out of its bounds stays so, for the table to refuse it.
    pub(crate) fn stored_concurrency(&self) -> i32 {
        i32::try_from(self.max_concurrency.get()).unwrap_or(i32::MAX)
    }
}

impl Guarantee {
    /// As the table has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AtLeastOnce => "at_least_once",
            Self::AtMostOnce => "at_most_once",
        }
    }
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Guarantee {
    type Err = UnknownGuarantee;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::AtLeastOnce, Self::AtMostOnce]
            .into_iter()
            .find(|guarantee| guarantee.as_str() == text)
            .ok_or_else(|| UnknownGuarantee(text.chars().take(64).collect()))
    }
}
