//! Which rounds count.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;
use cdc_e2e::services::Services;

use crate::broker::Compiler;

/// The most rounds that are spent on warming the broker up.
const WARM_UPS: u32 = 8;

/// What the broker's compiler may use of a core in a round for the broker to be warm.
const RESTING: f64 = 0.03;

/// The rounds of a case: those in which the broker still compiles what it does all the time, then those that count.
///
/// On few cores the compiler takes the time of what is measured, for a minute or so in the life of a broker.
#[derive(Debug)]
pub(super) struct Rounds {
    compiler: Compiler,
    /// The round that runs: since when, and what the compiler had used by then.
    running: Option<(Round, Instant, Duration)>,
    wanted: u32,
}

/// One round, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    WarmUp(u32),
    Counts { number: u32, of: u32 },
}

impl Rounds {
    /// With so many that count.
    pub(super) fn new(services: &Services, wanted: u32) -> Result<Self> {
        Ok(Self {
            compiler: Compiler::of(services)?,
            running: None,
            wanted,
        })
    }

    /// How many there can be, so that there are slots for all of them.
    pub(super) const fn most(wanted: u32) -> u32 {
        WARM_UPS + wanted
    }

    /// Ends the round that runs, and begins the next one, if there is one.
    pub(super) fn next(&mut self) -> Result<Option<Round>> {
        let (now, used) = (Instant::now(), self.compiler.used()?);
        let next = match self.running {
            None => Some(Round::WarmUp(1)),
            Some((round, began, before)) => {
                let share = used.saturating_sub(before).as_secs_f64() / (now - began).as_secs_f64();
                round.next(share, self.wanted)
            }
        };
        self.running = next.map(|round| (round, now, used));
        Ok(next)
    }
}

impl Round {
    /// Whether it is one to keep.
    pub(super) fn counts(self) -> bool {
        matches!(self, Self::Counts { .. })
    }

    /// The one after it, when the compiler has used this share of a core in it.
    fn next(self, compiler: f64, wanted: u32) -> Option<Self> {
        match self {
            Self::WarmUp(number) if number < WARM_UPS && compiler > RESTING => {
                Some(Self::WarmUp(number + 1))
            }
            Self::WarmUp(_) => Some(Self::Counts {
                number: 1,
                of: wanted,
            }),
            Self::Counts { number, of } => (number < of).then_some(Self::Counts {
                number: number + 1,
                of,
            }),
        }
    }
}

impl fmt::Display for Round {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WarmUp(number) => write!(formatter, "round {number} to warm up"),
            Self::Counts { number, of } => write!(formatter, "round {number} of {of}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_when_the_compiler_rests_or_never_does() {
        let busy = |number| Round::WarmUp(number).next(0.5, 2);
        assert_eq!(busy(1), Some(Round::WarmUp(2)));
        let [first, second] = [1, 2].map(|number| Round::Counts { number, of: 2 });
        assert_eq!(busy(WARM_UPS), Some(first), "not waited for without end");
        assert_eq!(Round::WarmUp(1).next(0.01, 2), Some(first));
        assert_eq!(first.next(0.5, 2), Some(second));
        assert_eq!(second.next(0.0, 2), None);
    }
}
