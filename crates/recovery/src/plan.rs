//! How often and how long a record is tried, as data.

mod blocking;
mod invalid;
mod step;
mod wait;

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::time::Duration;

use cdc_event::ErrorCode;

pub use self::blocking::{BlockingRetry, Jitter};
pub use self::invalid::InvalidPlan;
pub(crate) use self::step::{Failing, Step};
pub(crate) use self::wait::{Wait, Waiting};
use crate::names::DeadLetterTemplate;

/// How a record is tried again: first in its place, where its key waits for it, then in retry topics, where nothing
/// waits for it, then not at all.
///
/// # Example
///
/// ```
/// use recovery::{BlockingRetry, RetryPlan};
/// use std::time::Duration;
///
/// let seconds = Duration::from_secs;
/// let plan = RetryPlan::new(
///     BlockingRetry::Fixed { delay: seconds(1), retries: 2 },
///     vec![seconds(5), seconds(60), seconds(600)],
/// )?;
/// assert_eq!(plan.tiers(), [seconds(5), seconds(60), seconds(600)]);
/// # Ok::<(), recovery::InvalidPlan>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPlan {
    blocking: BlockingRetry,
    tiers: Vec<Duration>,
    max_age: Option<Duration>,
    max_retry_after: Duration,
    per_code: BTreeMap<ErrorCode, CodePolicy>,
}

/// The number of a retry topic, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tier(NonZeroU16);

/// What is different for one error code.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CodePolicy {
    /// Which retries it gets.
    pub retry: CodeRetry,
    /// Where it goes in the end; `None` is where all go.
    pub dead_letter: Option<DeadLetterTemplate>,
}

/// Which retries a failure gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CodeRetry {
    /// Those of the plan.
    #[default]
    AsPlanned,
    /// Those in its place only.
    BlockingOnly,
    /// Those in retry topics only.
    TiersOnly,
    /// None: a dead letter at once.
    Never,
    /// None: the runner stops, and commits nothing of it.
    Stop,
}

/// The longest delay of a tier: the brokers keep records of retry topics for longer.
const MAX_TIER: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The most retry topics.
const MAX_TIERS: usize = 32;

/// How long a handler may put off an attempt unless it is said otherwise.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

impl Tier {
    /// The first one.
    pub const FIRST: Self = Self(NonZeroU16::MIN);

    /// The number, from 1.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0.get()
    }

    pub(crate) const fn index(self) -> usize {
        self.0.get() as usize - 1
    }

    /// The tier with `index` tiers before it, of which there are at most [`MAX_TIERS`].
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the number of tiers is bounded"
    )]
    pub(crate) const fn of_index(index: usize) -> Self {
        Self(NonZeroU16::MIN.saturating_add(index as u16))
    }

    const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl RetryPlan {
    /// A plan without bounds on the age and without exceptions. Without tiers there is still one retry topic: replays
    /// enter there.
    ///
    /// # Errors
    ///
    /// [`InvalidPlan`] for a delay of 0 or too long a one, or too many retries or tiers.
    pub fn new(blocking: BlockingRetry, tiers: Vec<Duration>) -> Result<Self, InvalidPlan> {
        blocking.check()?;
        if tiers.len() > MAX_TIERS {
            return Err(InvalidPlan::TooManyTiers {
                tiers: tiers.len(),
                max: MAX_TIERS,
            });
        }
        for (index, delay) in tiers.iter().enumerate() {
            if delay.is_zero() || *delay > MAX_TIER {
                let tier = Tier::of_index(index);
                return Err(InvalidPlan::TierDelay {
                    tier,
                    delay: *delay,
                    max: MAX_TIER,
                });
            }
        }
        Ok(Self {
            blocking,
            tiers,
            max_age: None,
            max_retry_after: MAX_RETRY_AFTER,
            per_code: BTreeMap::new(),
        })
    }

    /// No attempt is made later than this after the first failure; what would be is a dead letter.
    ///
    /// # Errors
    ///
    /// [`InvalidPlan::NoAge`] for 0.
    pub fn with_max_age(self, max_age: Duration) -> Result<Self, InvalidPlan> {
        if max_age.is_zero() {
            return Err(InvalidPlan::NoAge);
        }
        Ok(Self {
            max_age: Some(max_age),
            ..self
        })
    }

    /// How long a handler may put off an attempt; an hour, unless it is set.
    #[must_use]
    pub fn with_max_retry_after(self, max_retry_after: Duration) -> Self {
        Self {
            max_retry_after,
            ..self
        }
    }

    /// What is different for one code.
    ///
    /// # Errors
    ///
    /// [`InvalidPlan::CodeTwice`].
    pub fn with_code(mut self, code: ErrorCode, policy: CodePolicy) -> Result<Self, InvalidPlan> {
        match self.per_code.insert(code.clone(), policy) {
            Some(_) => Err(InvalidPlan::CodeTwice { code }),
            None => Ok(self),
        }
    }

    /// The delay of each tier.
    #[must_use]
    pub fn tiers(&self) -> &[Duration] {
        &self.tiers
    }

    /// The longest that a handler may put off an attempt.
    pub(crate) const fn max_retry_after(&self) -> Duration {
        self.max_retry_after
    }

    /// How long a record waits in a retry topic.
    pub(crate) fn delay_of(&self, tier: Tier) -> Duration {
        self.tiers.get(tier.index()).copied().unwrap_or_default()
    }

    /// Which retries failures with a code get.
    fn retry_of(&self, code: &ErrorCode) -> CodeRetry {
        self.per_code
            .get(code)
            .map_or(CodeRetry::AsPlanned, |policy| policy.retry)
    }

    /// The retry topics that there are: one for each tier, and one for replays if there is none.
    pub(crate) fn retry_topics(&self) -> impl Iterator<Item = Tier> {
        (0..self.tiers.len().max(1)).map(Tier::of_index)
    }

    /// The codes that have dead letters of their own.
    pub(crate) fn dead_letters(&self) -> impl Iterator<Item = (&ErrorCode, &DeadLetterTemplate)> {
        self.per_code
            .iter()
            .filter_map(|(code, policy)| Some((code, policy.dead_letter.as_ref()?)))
    }
}
