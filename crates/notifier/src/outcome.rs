//! What an attempt means for a delivery, and for its record.
#![deny(clippy::wildcard_enum_match_arm)]

use std::time::Duration;

use webhook::{Attempt, Class, Receipt};

use crate::delivery::DeliveryState;
use crate::endpoint::Guarantee;
use crate::gate::Sign;

/// What an attempt means for a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The endpoint has it.
    Delivered,
    /// It comes again, not before this has passed.
    Retry { retry_after: Option<Duration> },
    /// It was refused for good.
    Rejected,
    /// The endpoint wants nothing any more.
    Gone,
    /// It may have arrived, and must not come again.
    Unknown,
}

impl Outcome {
    /// The one place that decides it.
    pub(crate) fn of(attempt: &Attempt, guarantee: Guarantee) -> Self {
        let retry = Self::Retry {
            retry_after: attempt.retry_after(),
        };
        match (attempt.class(), guarantee) {
            (Class::Delivered, _) => Self::Delivered,
            (Class::Gone, _) => Self::Gone,
            (Class::Rejected, _) => Self::Rejected,
            (Class::Retry, Guarantee::AtLeastOnce) => retry,
            (Class::Retry, Guarantee::AtMostOnce) => match attempt.receipt() {
                Receipt::NotSent => retry,
                Receipt::Answered if turned_away(attempt) => retry,
                Receipt::Answered | Receipt::Unknown => Self::Unknown,
            },
        }
    }

    /// As it is written down.
    pub(crate) const fn state(self) -> DeliveryState {
        match self {
            Self::Delivered => DeliveryState::Delivered,
            Self::Retry { .. } => DeliveryState::Retrying,
            Self::Rejected | Self::Gone => DeliveryState::Failed,
            Self::Unknown => DeliveryState::Unknown,
        }
    }

    /// As it is counted.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retry { .. } => "retried",
            Self::Rejected => "rejected",
            Self::Gone => "gone",
            Self::Unknown => "unknown",
        }
    }
}

/// What an attempt has shown of its endpoint; `None` when the endpoint had no part in it.
pub(crate) fn sign(attempt: &Attempt) -> Option<Sign> {
    let answered = match attempt.receipt() {
        Receipt::Answered => true,
        Receipt::NotSent | Receipt::Unknown => false,
    };
    match attempt.class() {
        Class::Delivered => Some(Sign::Good),
        Class::Gone | Class::Rejected => answered.then_some(Sign::Answers),
        Class::Retry => Some(Sign::Bad {
            answered,
            pause: attempt.retry_after(),
        }),
    }
}

/// Answers by which a server says that it has not even begun with the request.
fn turned_away(attempt: &Attempt) -> bool {
    attempt
        .status()
        .is_some_and(|status| matches!(status.as_u16(), 408 | 425 | 429 | 503))
}
