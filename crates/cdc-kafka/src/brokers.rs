//! Notices a client that has forgotten every broker.
//!
//! A cluster whose only broker has just been fenced names no broker at all for a moment. librdkafka 2.12 believes it, lets
//! go of all that it knows, those that it was configured with too (confluentinc/librdkafka issue 5301), and then has
//! nobody left to ask. Nothing is heard of it any more; only its statistics show it. Pure: time is given.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Deserialize;

/// How often a client tells its statistics, as librdkafka's `statistics.interval.ms`.
pub(crate) const STATISTICS_INTERVAL_MS: &str = "1000";

/// A client that begins anew with its bootstrap addresses has none for some milliseconds.
const PATIENCE: Duration = Duration::from_secs(4);

/// Since when a client has known no broker.
#[derive(Debug, Default)]
pub(crate) struct BrokerWatch {
    none_since: Option<Instant>,
}

#[derive(Deserialize)]
struct Statistics {
    brokers: BTreeMap<String, Broker>,
}

#[derive(Deserialize)]
struct Broker {
    source: String,
}

/// Whether librdkafka's statistics, as JSON, name a broker that can be connected to; `None` if they can't be read.
pub(crate) fn any_known(statistics: &[u8]) -> Option<bool> {
    let statistics: Statistics = serde_json::from_slice(statistics).ok()?;
    let mut brokers = statistics.brokers.into_values();
    // The others are librdkafka's own: the group's coordinator, which stands for one of these, and a queue.
    Some(brokers.any(|broker| matches!(broker.source.as_str(), "configured" | "learned")))
}

impl BrokerWatch {
    /// The client said whether it knows a broker. True when it has known none for so long that it never will.
    pub(crate) fn has_forgotten(&mut self, any_known: bool, now: Instant) -> bool {
        if any_known {
            self.none_since = None;
            return false;
        }
        now.duration_since(*self.none_since.get_or_insert(now)) >= PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_brokers_that_can_be_connected_to_count() {
        let of = |sources: &[&str]| {
            let brokers = sources.iter().enumerate().map(|(number, source)| {
                format!(r#""b{number}": {{"name": "b", "source": "{source}", "state": "UP"}}"#)
            });
            let brokers = brokers.collect::<Vec<_>>().join(", ");
            any_known(format!(r#"{{"name": "c", "brokers": {{{brokers}}}, "rx": 1}}"#).as_bytes())
        };
        assert_eq!(of(&["logical", "learned"]), Some(true));
        assert_eq!(of(&["configured"]), Some(true));
        assert_eq!(of(&["logical", "internal"]), Some(false));
        assert_eq!(of(&[]), Some(false));
        assert_eq!(any_known(b"{}"), None);
    }

    #[test]
    fn none_for_a_moment_is_not_forgotten_and_none_for_long_is() {
        let now = Instant::now();
        let mut watch = BrokerWatch::default();
        assert!(!watch.has_forgotten(false, now));
        assert!(!watch.has_forgotten(false, now + PATIENCE / 2));
        assert!(!watch.has_forgotten(true, now + PATIENCE));
        assert!(!watch.has_forgotten(false, now + PATIENCE * 2));
        assert!(watch.has_forgotten(false, now + PATIENCE * 3));
    }
}
