//! Tells people what cannot wait until they look.

use std::fmt;
use std::time::Duration;

/// Where it is told that events go another way.
///
/// Both are called by the task that sends: they must not block.
pub trait Alerts: Send + Sync + 'static {
    /// From now on, events go to the outbox. `error` is what Kafka or its client said last, if anything.
    fn entered(&self, cause: Cause, error: Option<&cdc_kafka::Error>);

    /// Events go to Kafka directly again.
    fn left(&self, stay: &Stay);
}

/// Why events go to the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The service has just started, and the relay has not shown yet that everything was delivered that an earlier
    /// process may have left in the outbox.
    Start,
    /// No broker can be reached.
    Unreachable,
    /// A record was not acknowledged in time: its partition has no leader, too few replicas are in sync, or the broker
    /// does not answer. It may have been written.
    TimedOut,
    /// Kafka takes records more slowly than they come, and the buffer is full.
    Full,
    /// The producer cannot go on.
    Failed,
}

/// A time in which events went to the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stay {
    /// Why.
    pub cause: Cause,
    /// For how long.
    pub lasted: Duration,
    /// Events that were stored, and have been delivered since.
    pub stored: u64,
}

/// Tells nobody: the log and the metrics say it all the same.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAlerts;

impl Alerts for NoAlerts {
    fn entered(&self, _: Cause, _: Option<&cdc_kafka::Error>) {}

    fn left(&self, _: &Stay) {}
}

impl Cause {
    /// One word, as metrics have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Full => "full",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => {
                "it is not known yet whether the relay has delivered what was stored before"
            }
            Self::Unreachable => "no Kafka broker can be reached",
            Self::TimedOut => "Kafka did not acknowledge a record in time",
            Self::Full => "Kafka takes records more slowly than they come",
            Self::Failed => "the Kafka producer cannot go on",
        })
    }
}
