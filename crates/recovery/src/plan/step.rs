//! What comes after a failure.

use std::time::{Duration, SystemTime};

use cdc_event::ErrorCode;

use super::{CodeRetry, RetryPlan, Tier};

/// A record that failed and may succeed later.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failing<'a> {
    /// The last retry topic whose delay it has waited through; `None` is the source.
    pub(crate) tier: Option<Tier>,
    /// Failures since it was read.
    pub(crate) failures_here: u32,
    /// Only a part of it failed.
    pub(crate) is_part: bool,
    pub(crate) code: &'a ErrorCode,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) first_failed_at: SystemTime,
    pub(crate) now: SystemTime,
}

/// What is done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Wait, then try again in its place.
    Here { after: Duration },
    /// To a retry topic, there to wait for its delay, and until `not_before` if that is later.
    Tier {
        tier: Tier,
        not_before: Option<SystemTime>,
    },
    /// No more attempts.
    DeadLetter,
    /// No more attempts at anything.
    Stop,
}

impl RetryPlan {
    /// What is done about a failure that may pass. `random` is a fresh number from 0 to 1.
    pub(crate) fn step(&self, failing: &Failing<'_>, random: f64) -> Step {
        let (here, tiers) = match self.retry_of(failing.code) {
            CodeRetry::AsPlanned => (true, true),
            CodeRetry::BlockingOnly => (true, false),
            CodeRetry::TiersOnly => (false, true),
            CodeRetry::Never => return Step::DeadLetter,
            CodeRetry::Stop => return Step::Stop,
        };
        let asked = failing
            .retry_after
            .map(|after| after.min(self.max_retry_after));
        // A part goes on as a record of its own, as soon as there is a topic for it: the rest of its record is done.
        let here =
            here && failing.tier.is_none() && !(failing.is_part && tiers && !self.tiers.is_empty());
        if here && let Some(delay) = self.blocking.after(failing.failures_here, random) {
            let after = delay.max(asked.unwrap_or_default());
            return self.unless_too_old(failing, after, Step::Here { after });
        }
        let next = failing.tier.map_or(Tier::FIRST, Tier::next);
        let Some(&delay) = self.tiers.get(next.index()).filter(|_| tiers) else {
            return Step::DeadLetter;
        };
        let asked = asked.filter(|asked| *asked > delay);
        let not_before = asked.and_then(|asked| failing.now.checked_add(asked));
        let after = asked.unwrap_or(delay);
        self.unless_too_old(
            failing,
            after,
            Step::Tier {
                tier: next,
                not_before,
            },
        )
    }

    fn unless_too_old(&self, failing: &Failing<'_>, after: Duration, step: Step) -> Step {
        // A clock that was set back makes it younger, which ends by itself.
        let age = failing
            .now
            .duration_since(failing.first_failed_at)
            .unwrap_or_default();
        match self.max_age {
            Some(max_age) if age.saturating_add(after) > max_age => Step::DeadLetter,
            Some(_) | None => step,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    use super::*;
    use crate::plan::{BlockingRetry, CodePolicy};

    static CODE: ErrorCode = ErrorCode::from_static("code");
    const NOW: SystemTime = UNIX_EPOCH;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn plan() -> RetryPlan {
        let blocking = BlockingRetry::Fixed {
            delay: seconds(1),
            retries: 2,
        };
        RetryPlan::new(blocking, vec![seconds(5), seconds(60)]).unwrap()
    }

    fn with(retry: CodeRetry) -> RetryPlan {
        plan()
            .with_code(
                CODE.clone(),
                CodePolicy {
                    retry,
                    dead_letter: None,
                },
            )
            .unwrap()
    }

    fn failing(tier: Option<u16>, failures_here: u32) -> Failing<'static> {
        Failing {
            tier: tier.map(|tier| Tier::of_index(usize::from(tier) - 1)),
            failures_here,
            is_part: false,
            code: &CODE,
            retry_after: None,
            first_failed_at: NOW,
            now: NOW,
        }
    }

    fn tier(number: u16) -> Step {
        Step::Tier {
            tier: Tier::of_index(usize::from(number) - 1),
            not_before: None,
        }
    }

    const HERE: Step = Step::Here { after: seconds(1) };

    /// The steps of a record that never succeeds, to its end.
    fn way(plan: &RetryPlan) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut at = failing(None, 1);
        loop {
            let step = plan.step(&at, 0.5);
            steps.push(step);
            match step {
                Step::Here { .. } => at.failures_here += 1,
                Step::Tier { tier, .. } => {
                    at.tier = Some(tier);
                    at.failures_here = 1;
                }
                Step::DeadLetter | Step::Stop => return steps,
            }
        }
    }

    #[test]
    fn goes_from_its_place_through_all_tiers_to_the_dead_letters() {
        assert_eq!(
            way(&plan()),
            [HERE, HERE, tier(1), tier(2), Step::DeadLetter]
        );
    }

    #[test]
    fn a_code_may_have_either_kind_of_retry_or_none_or_both() {
        assert_eq!(way(&with(CodeRetry::AsPlanned)), way(&plan()));
        assert_eq!(
            way(&with(CodeRetry::BlockingOnly)),
            [HERE, HERE, Step::DeadLetter]
        );
        assert_eq!(
            way(&with(CodeRetry::TiersOnly)),
            [tier(1), tier(2), Step::DeadLetter]
        );
        assert_eq!(way(&with(CodeRetry::Never)), [Step::DeadLetter]);
        assert_eq!(way(&with(CodeRetry::Stop)), [Step::Stop]);
    }

    #[test]
    fn without_retries_the_first_failure_is_the_last() {
        let plan = RetryPlan::new(BlockingRetry::None, Vec::new()).unwrap();
        assert_eq!(way(&plan), [Step::DeadLetter]);
        let topics: Vec<_> = plan.retry_topics().map(Tier::number).collect();
        assert_eq!(topics, [1], "replays need a way in");
    }

    #[test]
    fn a_part_leaves_its_record_as_soon_as_there_is_a_topic_for_it() {
        let part = Failing {
            is_part: true,
            ..failing(None, 1)
        };
        assert_eq!(plan().step(&part, 0.5), tier(1));
        let blocking = BlockingRetry::Fixed {
            delay: seconds(1),
            retries: 2,
        };
        let without_tiers = RetryPlan::new(blocking, Vec::new()).unwrap();
        assert_eq!(without_tiers.step(&part, 0.5), HERE);
    }

    #[test]
    fn a_handler_may_only_put_off_and_not_for_ever() {
        let asked = |after| Failing {
            retry_after: Some(after),
            ..failing(None, 1)
        };
        let plan = plan().with_max_retry_after(seconds(600));
        assert_eq!(plan.step(&asked(seconds(0)), 0.5), HERE);
        assert_eq!(
            plan.step(&asked(seconds(9)), 0.5),
            Step::Here { after: seconds(9) }
        );
        assert_eq!(
            plan.step(&asked(Duration::MAX), 0.5),
            Step::Here {
                after: seconds(600)
            }
        );
        let asked = |after| Failing {
            retry_after: Some(after),
            ..failing(None, 3)
        };
        assert_eq!(plan.step(&asked(seconds(4)), 0.5), tier(1));
        let not_before = Some(NOW + seconds(600));
        assert_eq!(
            plan.step(&asked(Duration::MAX), 0.5),
            Step::Tier {
                tier: Tier::FIRST,
                not_before
            }
        );
    }

    #[test]
    fn an_old_failure_is_not_tried_past_its_greatest_age() {
        let plan = plan().with_max_age(seconds(30)).unwrap();
        let aged = |age| Failing {
            now: NOW + seconds(age),
            ..failing(Some(1), 1)
        };
        assert_eq!(
            plan.step(&aged(10), 0.5),
            Step::DeadLetter,
            "the next tier takes a minute"
        );
        let aged = |age| Failing {
            now: NOW + seconds(age),
            ..failing(None, 3)
        };
        assert_eq!(plan.step(&aged(25), 0.5), tier(1));
        assert_eq!(plan.step(&aged(26), 0.5), Step::DeadLetter);
        let set_back = Failing {
            first_failed_at: NOW + seconds(1000),
            ..failing(None, 1)
        };
        assert_eq!(plan.step(&set_back, 0.5), HERE);
    }

    proptest! {
        #[test]
        fn every_way_ends(
            retries in 0_u32..20, tiers in proptest::collection::vec(1_u64..1000, 0..32), asked in any::<Option<u64>>(),
        ) {
            let blocking = BlockingRetry::Fixed { delay: seconds(1), retries };
            let count = tiers.len();
            let plan = RetryPlan::new(blocking, tiers.into_iter().map(seconds).collect()).unwrap();
            let steps = way(&plan);
            prop_assert_eq!(steps.len(), retries as usize + count + 1);
            let put_off = Failing { retry_after: asked.map(seconds), ..failing(None, retries + 1) };
            prop_assert_eq!(matches!(plan.step(&put_off, 0.5), Step::Tier { .. }), count > 0);
        }
    }
}
