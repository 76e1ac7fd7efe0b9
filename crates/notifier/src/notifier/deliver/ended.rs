//! How a delivery ended, and what that means for its record.

use std::sync::Arc;
use std::time::Duration;

use cdc_event::{ErrorCode, HandlerError, PartDisposition};
use webhook::Attempt;

use crate::delivery::{Claimed, Epoch, UNKNOWN};
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

    /// Something was, or is about to be: what comes of it is told later.
    pub(in crate::notifier) const fn underway(error: HandlerError, after: Duration) -> Self {
        Self::Failed {
            error,
            disposition: PartDisposition::Underway { after },
        }
    }

    pub(super) const fn poison(error: HandlerError) -> Self {
        Self::Failed {
            error,
            disposition: PartDisposition::Poison,
        }
    }

    /// It ends with its request, or with its lease.
    pub(super) fn elsewhere(retry_after: Duration) -> Self {
        let what = "the delivery is being made, or was when its process died";
        Self::underway(HandlerError::new(IN_FLIGHT, what), retry_after)
    }

    /// How it ended when nobody waited for it any more.
    fn belated(code: String, status: Option<u16>, again: bool) -> Self {
        let what = status.map_or_else(
            || "the request came to nothing".to_owned(),
            |status| format!("the endpoint answered {status}"),
        );
        let error = HandlerError::new(ErrorCode::new(code), what);
        if again {
            Self::transient(error, None)
        } else {
            Self::poison(error)
        }
    }

    /// This process has lost it, and must not make it again.
    pub(super) fn lost(retry_after: Duration) -> Self {
        let what = "the delivery ended by a bug, and it is not known how";
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

impl Claimed {
    /// The claim, or how a delivery ended that is not ours to make.
    pub(super) fn ours(self) -> Result<Epoch, Box<Ended>> {
        Err(Box::new(match self {
            Self::Ours(epoch) => return Ok(epoch),
            Self::Delivered => Ended::Done,
            Self::Elsewhere { retry_after } => Ended::elsewhere(retry_after),
            Self::Unknown => Ended::poison(HandlerError::new(
                ErrorCode::from_static(UNKNOWN),
                "it may have arrived before, and the endpoint must not hear it twice",
            )),
            // A record that comes again because its consumer was killed must fail again, or nobody hears of it.
            Self::Failed { code } => Ended::poison(HandlerError::new(
                ErrorCode::new(code),
                "the endpoint refused it before",
            )),
            Self::Untold {
                code,
                status,
                again,
            } => Ended::belated(code, status, again),
        }))
    }
}
