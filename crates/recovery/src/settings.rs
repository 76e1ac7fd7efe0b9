//! What a runner is told.

mod invalid;

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

pub use self::invalid::InvalidSettings;
use crate::names::{DeadLetterTemplate, Names, RetryTemplate, check};
use crate::ordering::Ordering;
use crate::plan::RetryPlan;

/// What a runner is told; [`new`](Self::new) has the usual answers to all but the first three questions.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The consumer group.
    pub group: String,
    /// The source topics.
    pub topics: Vec<String>,
    /// How often and how long a record is tried.
    pub retry: RetryPlan,
    /// Whether the records of a key wait for one of them that failed.
    pub ordering: Ordering,
    /// How retry topics are called.
    pub retry_topic: RetryTemplate,
    /// How dead-letter topics are called.
    pub dead_letter: DeadLetterTemplate,
    /// What missing retry and dead-letter topics are created with; `None` creates none: one that is missing is an error.
    pub creation: Option<Creation>,
    /// Attempts at the same time, over all partitions.
    pub concurrency: NonZeroUsize,
    /// Bytes of records that are held at the same time, over all partitions. One record of any size is taken in each
    /// partition.
    pub max_in_flight_bytes: NonZeroUsize,
    /// How an outage is told from records that fail; `None` tells nothing.
    pub breaker: Option<BreakerSettings>,
    /// The name of this member, for static membership: it may be away for `session.timeout.ms` and gets its partitions
    /// back.
    pub instance_id: Option<String>,
    /// How long a rebalance waits for attempts in flight. What is not done then is done again, by the next owner.
    pub revoke_deadline: Duration,
    /// How long a stop waits for attempts in flight.
    pub stop_deadline: Duration,
    /// How often offsets are committed. After a crash, that much is done again: what failed goes to a retry topic once more,
    /// so that a process which always dies sooner than this multiplies its retries.
    pub commit_interval: Duration,
    /// How long the group waits for this member in a rebalance; longer than `revoke_deadline`. Records may take longer,
    /// and so may delays: polling never stops.
    pub max_poll_interval: Duration,
}

/// What missing topics are created with. They get as many partitions as their source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    /// The number of replicas; -1 leaves it to the brokers.
    pub replication_factor: i32,
    /// How long records of retry topics are kept: longer than any outage.
    pub retry_retention: Duration,
    /// How long dead letters are kept, from the time of the original record; `None` is for ever.
    pub dead_letter_retention: Option<Duration>,
}

/// When failures count as an outage: of the last `window` records, `threshold` or more failed transiently.
///
/// During an outage one record at a time is tried, and that attempt does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Records that are looked at, 2 to 64.
    pub window: u32,
    /// Failures among them, 1 to `window`.
    pub threshold: NonZeroU32,
    /// From the outage to the first trial.
    pub first_probe: Duration,
    /// The longest time between two trials.
    pub probe_cap: Duration,
}

impl Settings {
    /// The usual settings: no record waits for one that is in a retry topic, 64 attempts at the same time, 64 MiB,
    /// topics as in the default templates, created where missing.
    #[must_use]
    pub fn new(group: impl Into<String>, topics: Vec<String>, retry: RetryPlan) -> Self {
        const CONCURRENCY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(63);
        const BYTES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(64 * 1024 * 1024 - 1);
        Self {
            group: group.into(),
            topics,
            retry,
            ordering: Ordering::None,
            retry_topic: RetryTemplate::default(),
            dead_letter: DeadLetterTemplate::default(),
            creation: Some(Creation::default()),
            concurrency: CONCURRENCY,
            max_in_flight_bytes: BYTES,
            breaker: Some(BreakerSettings::default()),
            instance_id: None,
            revoke_deadline: Duration::from_secs(20),
            stop_deadline: Duration::from_secs(10),
            commit_interval: Duration::from_millis(100),
            max_poll_interval: Duration::from_secs(60),
        }
    }

    /// What the topics are called.
    ///
    /// # Errors
    ///
    /// [`InvalidSettings`] for the first setting that cannot be, whether of names or not.
    pub fn names(&self) -> Result<Names, InvalidSettings> {
        check(&self.group).map_err(|error| InvalidSettings::Group {
            reason: error.reason,
        })?;
        if self.topics.is_empty() {
            return Err(InvalidSettings::NoTopic);
        }
        if let Some(breaker) = &self.breaker {
            breaker.check()?;
        }
        if self.commit_interval.is_zero() {
            return Err(InvalidSettings::NoInterval {
                setting: "commit interval",
            });
        }
        Ok(Names::new(
            &self.group,
            &self.topics,
            &self.retry_topic,
            &self.dead_letter,
            &self.retry,
        )?)
    }
}

impl Default for Creation {
    /// As many replicas as the brokers say; retries are kept for 30 days, dead letters for ever.
    fn default() -> Self {
        Self {
            replication_factor: -1,
            retry_retention: Duration::from_secs(30 * 24 * 60 * 60),
            dead_letter_retention: None,
        }
    }
}

impl Default for BreakerSettings {
    /// 18 of the last 20 records failed; trials after a second, then ever more rarely, up to every 30 seconds.
    fn default() -> Self {
        Self {
            window: 20,
            threshold: NonZeroU32::MIN.saturating_add(17),
            first_probe: Duration::from_secs(1),
            probe_cap: Duration::from_secs(30),
        }
    }
}

impl BreakerSettings {
    fn check(&self) -> Result<(), InvalidSettings> {
        if !(2..=64).contains(&self.window) || self.threshold.get() > self.window {
            let (window, threshold) = (self.window, self.threshold);
            return Err(InvalidSettings::Breaker { window, threshold });
        }
        if self.first_probe.is_zero() {
            return Err(InvalidSettings::NoInterval {
                setting: "first probe of an outage",
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::InvalidNames;
    use crate::plan::{BlockingRetry, CodePolicy};

    fn settings() -> Settings {
        let tiers = vec![Duration::from_secs(1); 2];
        let plan = RetryPlan::new(BlockingRetry::None, tiers).unwrap();
        Settings::new("billing", vec!["orders".into(), "users".into()], plan)
    }

    #[test]
    fn names_all_topics_of_a_group() {
        let names = settings().names().unwrap();
        let retries: Vec<_> = names.retry_topics().collect();
        assert_eq!(
            retries,
            [
                "orders.billing.retry-1",
                "orders.billing.retry-2",
                "users.billing.retry-1",
                "users.billing.retry-2"
            ]
        );
        assert_eq!(names.replay_entry("users"), Some("users.billing.retry-1"));
        assert_eq!(names.replay_entry("other"), None);
        assert_eq!(names.retry_group(), "billing.retry");
        let dead: Vec<_> = names.dead_letter_topics().into_iter().collect();
        assert_eq!(dead, ["orders.billing.DLT", "users.billing.DLT"]);
    }

    #[test]
    fn several_sources_may_share_their_dead_letters() {
        let dead_letter = DeadLetterTemplate::parse("{group}.DLT").unwrap();
        let names = Settings {
            dead_letter,
            ..settings()
        }
        .names()
        .unwrap();
        assert_eq!(names.dead_letter_topics().len(), 1);
    }

    #[test]
    fn a_code_may_have_dead_letters_of_its_own() {
        let dead_letter = DeadLetterTemplate::parse("{topic}.bad").ok();
        let policy = CodePolicy {
            dead_letter,
            ..CodePolicy::default()
        };
        let code = cdc_event::ErrorCode::from_static("bad");
        let retry = settings().retry.with_code(code.clone(), policy).unwrap();
        let names = Settings {
            retry,
            ..settings()
        }
        .names()
        .unwrap();
        assert_eq!(names.sources()[0].dead_letter_of[&code], "orders.bad");
    }

    #[test]
    fn refuses_a_topic_with_two_meanings() {
        for template in ["{topic}", "{topic}.{group}.retry-1", "users"] {
            let dead_letter = DeadLetterTemplate::parse(template).unwrap();
            let error = Settings {
                dead_letter,
                ..settings()
            }
            .names()
            .unwrap_err();
            let InvalidSettings::Names(InvalidNames::Twice { .. }) = error else {
                panic!("{template}: {error}");
            };
        }
        let topics = vec!["orders".into(), "orders".into()];
        assert!(
            Settings {
                topics,
                ..settings()
            }
            .names()
            .is_err()
        );
        let topics = vec!["orders".into(), "orders.billing.retry-2".into()];
        assert!(
            Settings {
                topics,
                ..settings()
            }
            .names()
            .is_err()
        );
    }

    #[test]
    fn refuses_settings_that_cannot_be() {
        assert_eq!(
            Settings {
                topics: Vec::new(),
                ..settings()
            }
            .names(),
            Err(InvalidSettings::NoTopic)
        );
        assert!(
            Settings {
                group: "a b".into(),
                ..settings()
            }
            .names()
            .is_err()
        );
        assert!(
            Settings {
                topics: vec!["x".repeat(240)],
                ..settings()
            }
            .names()
            .is_err()
        );
        for window in [0, 1, 17, 65] {
            let breaker = Some(BreakerSettings {
                window,
                ..BreakerSettings::default()
            });
            assert!(
                Settings {
                    breaker,
                    ..settings()
                }
                .names()
                .is_err(),
                "{window}"
            );
        }
    }
}
