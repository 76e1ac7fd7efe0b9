//! Tells people what cannot wait until they look.

use std::fmt;
use std::time::Duration;

use crate::endpoint::EndpointId;

/// Where the notifier tells what somebody should know at once. It waits in [`UntoldNews`](crate::UntoldNews) too, for who must
/// not miss it.
pub trait Alerts: Send + Sync + 'static {
    /// An endpoint was disabled by the notifier. Called once for each time, by the process that did it. Must not block.
    fn endpoint_disabled(&self, endpoint: &EndpointId, reason: DisabledReason);

    /// An endpoint does nothing but fail, and half, seven or nine tenths of the time are over after which it is disabled.
    /// Each is told once, by one process; only the last of those that have passed since the failure before. Must not block.
    fn endpoint_failing(&self, endpoint: &EndpointId, warning: Warning);
}

/// How near an endpoint is to being disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Warning {
    /// How much of the time is over: 50, 70 or 90.
    pub percent: u8,
    /// What is left of it. The endpoint is disabled by its first failure after that.
    pub left: Duration,
}

/// Why the notifier disabled an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DisabledReason {
    /// It said that it wants nothing any more (410).
    Gone,
    /// It did nothing but fail for too long.
    Failing,
}

/// Tells nobody: the log and the metrics say it all the same.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAlerts;

impl Alerts for NoAlerts {
    fn endpoint_disabled(&self, _: &EndpointId, _: DisabledReason) {}

    fn endpoint_failing(&self, _: &EndpointId, _: Warning) {}
}

impl DisabledReason {
    /// From what the table has.
    pub(crate) fn stored(reason: &str) -> Self {
        if reason == Self::Gone.as_str() {
            Self::Gone
        } else {
            Self::Failing
        }
    }

    /// As the table has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
}

impl fmt::Display for DisabledReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
