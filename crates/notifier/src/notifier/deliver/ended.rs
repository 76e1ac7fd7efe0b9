//! How a delivery ended, and what that means for its record.

use std::sync::Arc;
use std::time::Duration;

use cdc_event::{ErrorCode, HandlerError, PartDisposition};
use webhook::Attempt;

use crate::error::Error;
use crate::gate::Refusal;
use crate::outcome::Outcome;

/// The code of a delivery whose event cannot be put into the endpoint's format.
pub(super) const FORMAT: ErrorCode = ErrorCode::from_static("event-format");

/// Codes of deliveries that were not even tried.
const IN_FLIGHT: ErrorCode = ErrorCode::from_static("delivery-in-flight");
const CLOSED: ErrorCode = ErrorCode::from_static("endpoint-closed");
const BUSY: ErrorCode = ErrorCode::from_static("endpoint-busy");
const RATE: ErrorCode = ErrorCode::from_static("endpoint-rate");

/// How a delivery ended.
#[derive(Debug)]
pub(in crate::notifier) enum Ended {
    /// There is nothing more to do.
    Done,
    Failed {
        error: HandlerError,
        disposition: PartDisposition,
    },
    /// Nothing was sent, as nothing could be written down.
    Store(Arc<Error>),
}

impl Ended {
    pub(in crate::notifier) const fn transient(
        error: HandlerError,
        retry_after: Option<Duration>,
    ) -> Self {
        Self::Failed {
            error,
            disposition: PartDisposition::Transient { retry_after },
        }
    }

    /// Nothing was sent, so no attempt is counted.
    const fn wait(error: HandlerError, after: Duration) -> Self {
        Self::Failed {
            error,
            disposition: PartDisposition::Wait { after },
        }
    }

    pub(super) const fn poison(error: HandlerError) -> Self {
        Self::Failed {
            error,
            disposition: PartDisposition::Poison,
        }
    }

    pub(super) fn elsewhere(retry_after: Duration) -> Self {
        let what = "the delivery is being made, or was when its process died";
        Self::wait(HandlerError::new(IN_FLIGHT, what), retry_after)
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        let (code, what, retry_after) = match refusal {
            Refusal::Closed { retry_after } => (
                CLOSED,
                "the endpoint failed too often, or asked for a pause",
                retry_after,
            ),
            Refusal::Busy { retry_after } => (
                BUSY,
                "the endpoint has as many requests as it can bear",
                retry_after,
            ),
            Refusal::RateLimited { retry_after } => {
                (RATE, "the endpoint's rate is used up", retry_after)
            }
        };
        Self::wait(HandlerError::new(code, what), retry_after)
    }

    pub(super) fn of(attempt: &Attempt, outcome: Outcome) -> Self {
        let error = || {
            let code = ErrorCode::from_static(attempt.code().as_str());
            match &attempt.result {
                Ok(answer) => HandlerError::new(
                    code,
                    format!("the endpoint answered {}", answer.status.as_u16()),
                ),
                // The cause may name addresses; what it means is in the code.
                Err(error) => HandlerError::new(code, error.to_string()),
            }
        };
        match outcome {
            Outcome::Delivered => Self::Done,
            Outcome::Retry { retry_after } => Self::transient(error(), retry_after),
            Outcome::Rejected | Outcome::Gone | Outcome::Unknown => Self::poison(error()),
        }
    }

    /// What a delivery that was not tried counts as.
    pub(super) fn label(&self) -> Option<&'static str> {
        let Self::Failed { error, .. } = self else {
            return None;
        };
        [IN_FLIGHT, CLOSED, BUSY, RATE, FORMAT]
            .iter()
            .find(|code| *code == error.code())
            .map(|code| match code.as_str() {
                "delivery-in-flight" => "in-flight",
                "endpoint-closed" => "closed",
                "endpoint-busy" => "busy",
                "endpoint-rate" => "rate-limited",
                _ => "unformattable",
            })
    }
}
