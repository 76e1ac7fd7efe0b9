//! How often and how long a record is tried, as it is written.

use std::str::FromStr;
use std::time::Duration;

use recovery::{BlockingRetry, InvalidPlan, Jitter, RetryPlan};
use serde::Deserialize;

use crate::config::Span;
use crate::config::value::text;

/// First in its place, then in retry topics.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RetryConfig {
    blocking: BlockingConfig,
    tiers: Vec<Span>,
    max_age: Option<Span>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockingConfig {
    #[serde(deserialize_with = "text")]
    kind: Kind,
    #[serde(default = "one_second")]
    delay: Span,
    #[serde(default)]
    retries: u32,
    /// Of `exponential`; without it, a minute.
    cap: Option<Span>,
    /// Of `exponential`.
    #[serde(default = "yes")]
    jitter: bool,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    None,
    Fixed,
    Exponential,
}

const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl RetryConfig {
    /// The plan that it says.
    ///
    /// # Errors
    ///
    /// It cannot be.
    pub(crate) fn plan(&self) -> Result<RetryPlan, InvalidPlan> {
        let BlockingConfig {
            kind,
            delay,
            retries,
            cap,
            jitter,
        } = &self.blocking;
        let (delay, retries) = (delay.get(), *retries);
        let blocking = match kind {
            Kind::None => BlockingRetry::None,
            Kind::Fixed => BlockingRetry::Fixed { delay, retries },
            Kind::Exponential => BlockingRetry::Exponential {
                initial: delay,
                cap: cap.map_or(LONGEST_PAUSE.max(delay), Span::get),
                jitter: if *jitter { Jitter::Full } else { Jitter::None },
                retries,
            },
        };
        let plan = RetryPlan::new(blocking, self.tiers.iter().map(|tier| tier.get()).collect())?;
        match self.max_age {
            Some(age) => plan.with_max_age(age.get()),
            None => Ok(plan),
        }
    }
}

impl Default for RetryConfig {
    /// Twice after a second, then after 5 seconds, a minute and ten minutes.
    fn default() -> Self {
        let seconds = |seconds| Span::from(Duration::from_secs(seconds));
        Self {
            blocking: BlockingConfig::default(),
            tiers: vec![seconds(5), seconds(60), seconds(600)],
            max_age: None,
        }
    }
}

impl Default for BlockingConfig {
    fn default() -> Self {
        Self {
            kind: Kind::Fixed,
            delay: one_second(),
            retries: 2,
            cap: None,
            jitter: true,
        }
    }
}

fn one_second() -> Span {
    Span::from(Duration::from_secs(1))
}

const fn yes() -> bool {
    true
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            "fixed" => Ok(Self::Fixed),
            "exponential" => Ok(Self::Exponential),
            _ => Err(format!(
                "{text:?} is no kind of retry: \"none\", \"fixed\", \"exponential\""
            )),
        }
    }
}
