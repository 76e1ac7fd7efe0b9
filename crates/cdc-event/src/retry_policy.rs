//! How long to wait before the next attempt.

use std::time::Duration;

/// Exponential back-off as data: the first bound, doubled for each failure, up to a cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    base: Duration,
    cap: Duration,
}

/// The state of one series of attempts under a [`RetryPolicy`].
///
/// # Example
///
/// ```
/// use cdc_event::Backoff;
/// use std::time::Duration;
///
/// let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
/// assert_eq!(backoff.next_delay(1.0), Duration::from_millis(100));
/// assert_eq!(backoff.next_delay(1.0), Duration::from_millis(200));
/// backoff.reset();
/// assert_eq!(backoff.next_delay(0.0), Duration::from_millis(50));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    policy: RetryPolicy,
    failures: u32,
}

impl RetryPolicy {
    /// Bounds of `base`, 2 × `base`, 4 × `base` … up to `cap`.
    ///
    /// `base` is at least 1 ms, so that a mistake never makes a busy loop; `cap` at least `base`.
    #[must_use]
    pub fn new(base: Duration, cap: Duration) -> Self {
        let base = base.max(Duration::from_millis(1));
        Self {
            base,
            cap: cap.max(base),
        }
    }

    /// The longest delay after `failures` earlier failures of the series.
    #[must_use]
    pub fn bound(&self, failures: u32) -> Duration {
        let factor = 2_u32.checked_pow(failures).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }

    /// The delay after `failures` earlier failures: evenly spread from half the base to
    /// [`bound`](Self::bound), so that many clients of one server do not come back together.
    ///
    /// `random` is a fresh number from 0 to 1; what lies outside counts as the nearer end.
    #[must_use]
    pub fn delay(&self, failures: u32, random: f64) -> Duration {
        let floor = self.base / 2;
        // Not `clamp`: it would let NaN through, which `mul_f64` panics at.
        let random = if random > 0.0 { random.min(1.0) } else { 0.0 };
        let bound = self.bound(failures);
        (floor + (bound - floor).mul_f64(random)).min(bound)
    }
}

impl Backoff {
    /// Starts a series; see [`RetryPolicy::new`] for the bounds.
    #[must_use]
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self {
            policy: RetryPolicy::new(base, cap),
            failures: 0,
        }
    }

    /// Counts a failure and says how long to wait before the next attempt.
    ///
    /// `random` is a fresh number from 0 to 1.
    pub fn next_delay(&mut self, random: f64) -> Duration {
        let delay = self.policy.delay(self.failures, random);
        self.failures = self.failures.saturating_add(1);
        delay
    }

    /// Failures counted since the start or the last [`reset`](Self::reset).
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// Starts again from the first bound; to be called after a success.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn durations() -> impl Strategy<Value = (Duration, Duration)> {
        (0_u64..10_000_000, 0_u64..1_000_000_000)
            .prop_map(|(base, cap)| (Duration::from_micros(base), Duration::from_micros(cap)))
    }

    proptest! {
        #[test]
        fn stays_between_half_the_base_and_the_cap(
            (base, cap) in durations(), randoms in proptest::collection::vec(-0.5_f64..1.5, 1..80),
        ) {
            let mut backoff = Backoff::new(base, cap);
            let base = base.max(Duration::from_millis(1));
            for random in randoms {
                let delay = backoff.next_delay(random);
                prop_assert!(delay >= base / 2, "{delay:?}");
                prop_assert!(delay <= cap.max(base), "{delay:?}");
            }
        }

        #[test]
        fn bounds_double_until_the_cap_and_never_shrink((base, cap) in durations()) {
            let policy = RetryPolicy::new(base, cap);
            for failures in 0..70 {
                let (bound, next) = (policy.bound(failures), policy.bound(failures + 1));
                prop_assert!(next >= bound);
                prop_assert!(next == bound.saturating_mul(2) || next == policy.cap);
            }
        }

        #[test]
        fn spreads_over_the_whole_range((base, cap) in durations(), failures in 0_u32..40) {
            let policy = RetryPolicy::new(base, cap);
            prop_assert_eq!(policy.delay(failures, 0.0), policy.base / 2);
            prop_assert_eq!(policy.delay(failures, 1.0), policy.bound(failures));
            prop_assert!(policy.delay(failures, 0.3) <= policy.delay(failures, 0.7));
        }
    }

    #[test]
    fn takes_a_random_number_that_is_none() {
        let policy = RetryPolicy::new(Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!(policy.delay(3, f64::NAN), Duration::from_millis(500));
        assert_eq!(policy.delay(3, f64::INFINITY), Duration::from_secs(8));
    }

    #[test]
    fn starts_again_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        for _ in 0..5 {
            backoff.next_delay(1.0);
        }
        assert_eq!(backoff.failures(), 5);
        backoff.reset();
        assert_eq!(backoff.next_delay(1.0), Duration::from_secs(1));
    }
}
