//! Retries in a record's place, while its key waits.

use std::time::Duration;

use cdc_event::RetryPolicy;

use super::InvalidPlan;

/// How a record is tried again in its place. Records of other keys go on meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockingRetry {
    /// Not at all.
    None,
    /// Always after the same delay.
    Fixed {
        /// Between two attempts.
        delay: Duration,
        /// Attempts after the first.
        retries: u32,
    },
    /// After a delay that doubles each time.
    Exponential {
        /// Before the first retry.
        initial: Duration,
        /// The longest delay.
        cap: Duration,
        /// Whether delays are spread.
        jitter: Jitter,
        /// Attempts after the first.
        retries: u32,
    },
}

/// Whether delays are spread, so that many who wait for one server do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Jitter {
    /// They are as computed.
    None,
    /// They are spread evenly, from half the first delay to what is computed.
    #[default]
    Full,
}

/// A key that waits for longer should wait in a retry topic.
const MAX_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Attempts travel as a number of 16 bits with a sign.
const MAX_RETRIES: u32 = 10_000;

impl BlockingRetry {
    pub(super) fn check(&self) -> Result<(), InvalidPlan> {
        let (shortest, longest, retries) = match *self {
            Self::None => return Ok(()),
            Self::Fixed { delay, retries } => (delay, delay, retries),
            Self::Exponential {
                initial,
                cap,
                retries,
                ..
            } => {
                if cap < initial {
                    return Err(InvalidPlan::Cap { cap, initial });
                }
                (initial, cap, retries)
            }
        };
        for delay in [shortest, longest] {
            if delay.is_zero() || delay > MAX_DELAY {
                return Err(InvalidPlan::BlockingDelay {
                    delay,
                    max: MAX_DELAY,
                });
            }
        }
        if retries > MAX_RETRIES {
            return Err(InvalidPlan::TooManyRetries {
                retries,
                max: MAX_RETRIES,
            });
        }
        Ok(())
    }

    /// How long to wait after `failures` failures in this place, from 1; `None` when that was the last attempt.
    ///
    /// `random` is a fresh number from 0 to 1.
    pub(super) fn after(&self, failures: u32, random: f64) -> Option<Duration> {
        let earlier = failures.saturating_sub(1);
        match *self {
            Self::None => None,
            Self::Fixed { delay, retries } => (failures <= retries).then_some(delay),
            Self::Exponential {
                initial,
                cap,
                jitter,
                retries,
            } => (failures <= retries).then(|| {
                let policy = RetryPolicy::new(initial, cap);
                match jitter {
                    Jitter::None => policy.bound(earlier),
                    Jitter::Full => policy.delay(earlier, random),
                }
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn fixed_back_offs_end_after_their_retries() {
        for (delay, retries) in [(1, 2), (5, 2), (2, 3)] {
            let retry = BlockingRetry::Fixed {
                delay: seconds(delay),
                retries,
            };
            retry.check().unwrap();
            for failures in 1..=retries {
                assert_eq!(retry.after(failures, 0.5), Some(seconds(delay)));
            }
            assert_eq!(retry.after(retries + 1, 0.5), None);
        }
        assert_eq!(BlockingRetry::None.after(1, 0.5), None);
    }

    #[test]
    fn exponential_back_off_doubles_up_to_its_cap() {
        let retry = BlockingRetry::Exponential {
            initial: seconds(1),
            cap: seconds(5),
            jitter: Jitter::None,
            retries: 4,
        };
        let delays: Vec<_> = (1..=5).map(|failures| retry.after(failures, 0.9)).collect();
        assert_eq!(
            delays,
            [
                Some(seconds(1)),
                Some(seconds(2)),
                Some(seconds(4)),
                Some(seconds(5)),
                None
            ]
        );
    }

    #[test]
    fn refuses_delays_that_are_none_or_too_long() {
        let day = seconds(24 * 60 * 60);
        for delay in [Duration::ZERO, day + seconds(1)] {
            let fixed = BlockingRetry::Fixed { delay, retries: 1 };
            assert_eq!(
                fixed.check(),
                Err(InvalidPlan::BlockingDelay { delay, max: day })
            );
        }
        let fixed = BlockingRetry::Fixed {
            delay: day,
            retries: 10_001,
        };
        assert!(matches!(
            fixed.check(),
            Err(InvalidPlan::TooManyRetries { .. })
        ));
        let (initial, cap) = (seconds(2), seconds(1));
        let sinking = BlockingRetry::Exponential {
            initial,
            cap,
            jitter: Jitter::Full,
            retries: 1,
        };
        assert_eq!(sinking.check(), Err(InvalidPlan::Cap { cap, initial }));
    }

    proptest! {
        #[test]
        fn jitter_stays_within_half_the_first_delay_and_the_cap(
            initial in 1_u64..100_000, more in 0_u64..1_000_000, failures in 1_u32..40, random in -1.0_f64..2.0,
        ) {
            let (initial, cap) = (Duration::from_millis(initial), Duration::from_millis(initial + more));
            let retry = BlockingRetry::Exponential { initial, cap, jitter: Jitter::Full, retries: 100 };
            let delay = retry.after(failures, random).unwrap();
            prop_assert!(delay >= initial / 2 && delay <= cap, "{delay:?}");
        }
    }
}
