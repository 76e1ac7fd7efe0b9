//! What became of an event that was to be sent again.

use cdc_store::ErrorReport;

use crate::error_code::ErrorCode;
use crate::failure::Failure;

/// What became of an event.
#[derive(Debug)]
pub(super) enum Fate {
    /// It was not sent.
    Unsent,
    /// It was sent, and nobody knows whether it arrived.
    InFlight,
    /// Kafka has it.
    Acknowledged,
    /// Kafka does not take it.
    Refused(Refusal),
}

/// Why Kafka does not take an event.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    /// Its code.
    pub(super) code: ErrorCode,
    /// In one line.
    pub(super) reason: String,
    /// For the store.
    pub(super) report: ErrorReport,
}

impl Refusal {
    /// What `failure` says.
    pub(super) fn of(failure: &Failure) -> Self {
        Self {
            code: failure.code(),
            reason: failure.one_line(),
            report: ErrorReport::of(failure.code().as_str(), failure),
        }
    }
}
