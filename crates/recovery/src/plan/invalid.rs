//! Plans that cannot be.

use std::time::Duration;

use cdc_event::ErrorCode;

use super::Tier;

/// Why a plan cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlan {
    /// A tier without delay, or one that is too long.
    #[error("the delay of tier {} is {delay:?}; it must be more than 0 and at most {max:?}", tier.number())]
    TierDelay {
        /// Which tier.
        tier: Tier,
        /// Its delay.
        delay: Duration,
        /// The longest one.
        max: Duration,
    },
    /// More tiers than make sense.
    #[error("{tiers} retry tiers are too many; at most {max} are possible")]
    TooManyTiers {
        /// How many.
        tiers: usize,
        /// How many there may be.
        max: usize,
    },
    /// A back-off without delay, or one that is too long.
    #[error(
        "the delay of a blocking retry is {delay:?}; it must be more than 0 and at most {max:?}"
    )]
    BlockingDelay {
        /// The delay.
        delay: Duration,
        /// The longest one.
        max: Duration,
    },
    /// A cap below the first delay.
    #[error("the cap of the back-off, {cap:?}, is below its first delay, {initial:?}")]
    Cap {
        /// The cap.
        cap: Duration,
        /// The first delay.
        initial: Duration,
    },
    /// More retries than can be counted in a header.
    #[error("{retries} blocking retries are too many; at most {max} are possible")]
    TooManyRetries {
        /// How many.
        retries: u32,
        /// How many there may be.
        max: u32,
    },
    /// No time for any retry.
    #[error("the greatest age of a failed record is 0; leave it out for no limit")]
    NoAge,
    /// Two policies for one code.
    #[error("there are two policies for the error code {:?}", code.as_str())]
    CodeTwice {
        /// The code.
        code: ErrorCode,
    },
}
