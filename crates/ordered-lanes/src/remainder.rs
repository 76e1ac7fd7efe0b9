//! What is left of a record after an attempt.

use std::time::Duration;

use cdc_event::{Attempt, DeadHead, Fate, PartId, Unfinished};
use cdc_store::ErrorReport;

/// What is left to do of a record after an attempt failed: all of it, or a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remainder {
    /// The part; `None` is all of it.
    pub part: Option<PartId>,
    /// The attempt that failed.
    pub attempt: Attempt,
    /// Why.
    pub error: ErrorReport,
    /// What is to be done about it; what is dead is given up as [`DeadHead`] says.
    pub fate: Fate,
    /// How many delays between attempts it will have waited through, with the one that begins now.
    pub delays: u16,
}

/// How an event stands. The names are those in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventStatus {
    /// Waits for its turn.
    Open,
    /// Given up; what is behind it waits for an operator.
    Held,
    /// Given up; what was behind it went on.
    Skipped,
    /// Given up, with all that was in the lane.
    DeadLettered,
}

impl Remainder {
    /// As it is stored: with no more of the error than fits.
    #[must_use]
    pub fn of(unfinished: &Unfinished) -> Self {
        let error = &unfinished.error;
        Self {
            part: unfinished.part.clone(),
            attempt: unfinished.attempt,
            error: ErrorReport::of(error.code().as_str(), error),
            fate: unfinished.fate,
            delays: unfinished.delays,
        }
    }

    /// When it is to be tried again, if it is.
    pub(crate) const fn due(&self) -> Option<Duration> {
        match self.fate {
            Fate::Again(after) => Some(after),
            Fate::Dead => None,
        }
    }

    /// What it is stored as.
    #[must_use]
    pub const fn status(&self, policy: DeadHead) -> EventStatus {
        match (self.fate, policy) {
            (Fate::Again(_), _) => EventStatus::Open,
            (Fate::Dead, DeadHead::Hold) => EventStatus::Held,
            (Fate::Dead, DeadHead::Skip) => EventStatus::Skipped,
            (Fate::Dead, DeadHead::DeadLetterLane) => EventStatus::DeadLettered,
        }
    }
}

impl EventStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Open, Self::Held, Self::Skipped, Self::DeadLettered];

    /// As it stands in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Held => "held",
            Self::Skipped => "skipped",
            Self::DeadLettered => "dead_lettered",
        }
    }

    /// From the table; `None` for what this version does not know.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether what comes after it has to wait for it.
    #[must_use]
    pub const fn blocks(self) -> bool {
        matches!(self, Self::Open | Self::Held)
    }
}

/// The first due time of what is left, if anything is to be tried again.
pub(crate) fn first_due(remainders: &[Remainder]) -> Option<Duration> {
    remainders.iter().filter_map(Remainder::due).min()
}
