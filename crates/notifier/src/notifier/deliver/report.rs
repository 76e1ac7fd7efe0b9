//! What is written down of an attempt.

use std::time::Duration;

use webhook::Attempt;

use crate::delivery::{DeliveryState, Epoch, Settlement};
use crate::event::Event;
use crate::in_flight::Held;
use crate::outcome::Outcome;
use crate::settings::AttemptLog;
use crate::waits::WaitedFor;

/// The code of a delivery that its endpoint missed.
const DISABLED: &str = "endpoint-disabled";

/// The most of an answer that is written down.
const EXCERPT_BYTES: usize = 1024;

/// What is written down of an attempt, besides its state.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// How long the request took, if it is to be kept.
    logged: Option<Duration>,
    status: Option<u16>,
    code: Option<String>,
    excerpt: Option<String>,
}

impl Report {
    /// Nothing was sent, as the endpoint was disabled.
    pub(super) fn missed() -> Self {
        Self {
            code: Some(DISABLED.to_owned()),
            ..Self::default()
        }
    }

    pub(super) fn of(attempt: &Attempt, outcome: Outcome, log: AttemptLog) -> Self {
        let arrived = outcome == Outcome::Delivered;
        let excerpt = attempt
            .result
            .as_ref()
            .ok()
            .filter(|_| !arrived)
            .map(|answer| bounded(&answer.excerpt));
        Self {
            logged: log.keeps(arrived).then_some(attempt.duration),
            status: attempt.status().map(|status| status.as_u16()),
            code: (!arrived).then(|| attempt.code().as_str().to_owned()),
            excerpt: excerpt.filter(|text| !text.is_empty()),
        }
    }
}

impl Settlement {
    pub(super) fn of(
        event: &Event,
        held: &Held,
        epoch: Epoch,
        state: DeliveryState,
        report: Report,
        waited_for: WaitedFor,
    ) -> Self {
        let arrived = state == DeliveryState::Delivered;
        Self {
            key: held.key().clone(),
            epoch,
            state,
            status: report.status,
            code: report.code,
            excerpt: report.excerpt,
            origin: (!arrived).then(|| event.origin.to_string()),
            logged: report.logged,
            waited_for,
        }
    }
}

/// The beginning of a text, without NUL, which PostgreSQL cannot store.
fn bounded(text: &str) -> String {
    let end = text.floor_char_boundary(EXCERPT_BYTES);
    text[..end].replace('\0', "\u{FFFD}")
}
