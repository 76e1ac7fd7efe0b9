//! What comes after a record was put off without an attempt.

use std::time::Duration;

use cdc_event::ErrorCode;

use super::{CodeRetry, RetryPlan, Tier};

/// A record that is to wait, though it has not failed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting<'a> {
    pub(crate) code: &'a ErrorCode,
    /// What the handler asks for.
    pub(crate) asked: Duration,
    /// What it waits for ends by itself: neither its age nor its greatest age matters.
    pub(crate) ends: bool,
    /// Since it failed or was put off first.
    pub(crate) age: Duration,
}

/// How a record waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// For this long; in a retry topic, or in its place if that is `None`.
    For { after: Duration, tier: Option<Tier> },
    /// No longer: it is treated as one that failed.
    TooLong,
}

/// Nobody is asked more often than this.
const SHORTEST: Duration = Duration::from_millis(100);

/// A record that has waited for long waits for this part of that time at least: what it costs grows with the logarithm
/// of the time only.
const PART_OF_AGE: u32 = 8;

/// How much older than all its delays together a record gets by waiting in retry topics: longer than most pauses of
/// what it is for.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// How old a record gets by waiting in its place, where it holds up others: longer than a process that was killed is
/// thought to be alive.
const LONGEST_HERE: Duration = Duration::from_secs(2 * 60);

/// What is left of a time is waited for in memory if it is no longer than this.
const REST: Duration = Duration::from_secs(1);

impl RetryPlan {
    /// What is done about a record that is to wait. It uses up nothing of the plan until it is too old.
    pub(crate) fn wait(&self, waiting: &Waiting<'_>) -> Wait {
        let (here, tiers) = match self.retry_of(waiting.code) {
            CodeRetry::AsPlanned => (true, true),
            CodeRetry::BlockingOnly => (true, false),
            CodeRetry::TiersOnly => (false, true),
            CodeRetry::Never | CodeRetry::Stop => return Wait::TooLong,
        };
        let patience = if waiting.ends {
            Duration::ZERO
        } else {
            waiting.age / PART_OF_AGE
        };
        let after = waiting
            .asked
            .max(SHORTEST)
            .max(patience)
            .min(self.max_retry_after);
        let tier = self.tier_for(after).filter(|_| tiers);
        let longest = match tier {
            Some(_) => self.tiers.iter().sum::<Duration>() + LONGEST,
            None if here => LONGEST_HERE,
            None => return Wait::TooLong,
        };
        let longest = self.max_age.map_or(longest, |age| age.min(longest));
        if !waiting.ends && waiting.age.saturating_add(after) > longest {
            Wait::TooLong
        } else {
            Wait::For { after, tier }
        }
    }

    /// The retry topic in which a record goes on waiting that is not to be tried for this long; `None` when too little is
    /// left of it for any, or for as often as it would be written.
    pub(crate) fn tier_for_rest(&self, left: Duration) -> Option<Tier> {
        let tier = self.tier_for(left).filter(|_| left > REST)?;
        let delay = self.delay_of(tier);
        (delay >= SHORTEST && delay <= left).then_some(tier)
    }

    /// The retry topic with the longest delay that is not too long, so that little of the time is waited for after it;
    /// the one with the shortest if all are.
    fn tier_for(&self, after: Duration) -> Option<Tier> {
        let tiers = || self.tiers.iter().enumerate();
        let fitting = tiers()
            .filter(|(_, delay)| **delay <= after)
            .max_by_key(|(_, delay)| **delay);
        let chosen = fitting.or_else(|| tiers().min_by_key(|(_, delay)| **delay));
        chosen.map(|(index, _)| Tier::of_index(index))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::{BlockingRetry, CodePolicy};

    static CODE: ErrorCode = ErrorCode::from_static("code");

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn plan(tiers: &[u64]) -> RetryPlan {
        let tiers = tiers.iter().copied().map(seconds).collect();
        RetryPlan::new(BlockingRetry::None, tiers).unwrap()
    }

    fn waiting(asked: Duration, age: Duration) -> Waiting<'static> {
        Waiting {
            code: &CODE,
            asked,
            ends: false,
            age,
        }
    }

    fn wait_in(tier: Option<usize>, after: Duration) -> Wait {
        let tier = tier.map(|tier| Tier::of_index(tier - 1));
        Wait::For { after, tier }
    }

    #[test]
    fn waits_where_most_of_the_time_is_the_delay() {
        let plan = plan(&[5, 60, 600]);
        for (asked, tier) in [(1, 1), (5, 1), (25, 1), (60, 2), (599, 2), (3000, 3)] {
            let asked = seconds(asked);
            assert_eq!(
                plan.wait(&waiting(asked, Duration::ZERO)),
                wait_in(Some(tier), asked)
            );
        }
    }

    #[test]
    fn the_rest_of_a_time_is_waited_for_in_ever_shorter_delays() {
        let plan = plan(&[60, 5, 600]);
        let mut left = seconds(3595);
        let mut delays = Vec::new();
        while let Some(tier) = plan.tier_for_rest(left) {
            delays.push(plan.delay_of(tier).as_secs());
            left -= plan.delay_of(tier);
        }
        assert_eq!((delays.len(), left), (5 + 9 + 11, Duration::ZERO));
        assert!(delays.is_sorted_by(|one, next| one >= next), "{delays:?}");
    }

    #[test]
    fn a_rest_for_which_no_delay_fits_is_waited_for_in_memory() {
        assert_eq!(plan(&[60]).tier_for_rest(seconds(59)), None);
        assert_eq!(plan(&[]).tier_for_rest(seconds(3600)), None);
        let short = |millis| {
            let tiers = vec![Duration::from_millis(millis)];
            RetryPlan::new(BlockingRetry::None, tiers).unwrap()
        };
        assert_eq!(short(100).tier_for_rest(seconds(1)), None);
        assert_eq!(short(99).tier_for_rest(seconds(3600)), None, "too often");
        assert_eq!(short(100).tier_for_rest(seconds(2)), Some(Tier::FIRST));
    }

    #[test]
    fn without_tiers_it_waits_in_its_place_and_not_for_long() {
        let plan = plan(&[]);
        let at = |age| plan.wait(&waiting(seconds(30), seconds(age)));
        assert_eq!(at(0), wait_in(None, seconds(30)));
        assert_eq!(at(90), wait_in(None, seconds(30)));
        assert_eq!(at(91), Wait::TooLong);
    }

    #[test]
    fn waits_no_longer_than_all_delays_and_an_hour_nor_past_the_greatest_age() {
        let tiers = plan(&[60, 600]);
        let at = |plan: &RetryPlan, age| plan.wait(&waiting(seconds(30), seconds(age)));
        assert_eq!(
            at(&tiers, 3600),
            wait_in(Some(1), seconds(450)),
            "an eighth of its age"
        );
        assert_eq!(at(&tiers, 4260), Wait::TooLong);
        let young = tiers.with_max_age(seconds(100)).unwrap();
        assert_eq!(at(&young, 70), wait_in(Some(1), seconds(30)));
        assert_eq!(at(&young, 71), Wait::TooLong);
    }

    #[test]
    fn what_ends_by_itself_is_waited_for_however_old_the_record_is() {
        let at = |plan: &RetryPlan| {
            plan.wait(&Waiting {
                ends: true,
                ..waiting(seconds(2), seconds(1_000_000))
            })
        };
        assert_eq!(at(&plan(&[])), wait_in(None, seconds(2)));
        let young = plan(&[60]).with_max_age(seconds(100)).unwrap();
        assert_eq!(at(&young), wait_in(Some(1), seconds(2)));
    }

    #[test]
    fn a_code_without_retries_does_not_wait_either() {
        let with = |retry| {
            let policy = CodePolicy {
                retry,
                dead_letter: None,
            };
            let plan = plan(&[60]).with_code(CODE.clone(), policy).unwrap();
            plan.wait(&waiting(seconds(1), Duration::ZERO))
        };
        assert_eq!(with(CodeRetry::Never), Wait::TooLong);
        assert_eq!(with(CodeRetry::Stop), Wait::TooLong);
        assert_eq!(with(CodeRetry::BlockingOnly), wait_in(None, seconds(1)));
        assert_eq!(with(CodeRetry::TiersOnly), wait_in(Some(1), seconds(1)));
    }

    proptest! {
        /// Whatever a handler asks for, over and over.
        #[test]
        fn every_wait_ends_after_a_bounded_number_of_times(
            asked in any::<u64>(), tiers in proptest::collection::vec(1_u64..1000, 0..8),
        ) {
            let plan = plan(&tiers);
            let (mut age, mut times) = (Duration::ZERO, 0);
            while let Wait::For { after, .. } = plan.wait(&waiting(Duration::from_nanos(asked), age)) {
                age += after;
                times += 1;
                prop_assert!(times < 120, "{age:?}");
            }
        }
    }
}
