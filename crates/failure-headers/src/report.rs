//! Why a record failed, as text.

use std::backtrace::BacktraceStatus;

use cdc_event::{ErrorCode, HandlerError};

/// Causes of one error that are kept.
const CAUSES: usize = 16;

/// Why a record failed, as it travels: all text. It must not contain secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureReport {
    /// The stable code.
    pub code: ErrorCode,
    /// What happened, for people.
    pub message: String,
    /// The causes, the direct one first; at most 16 are taken from an error.
    pub chain: Vec<String>,
    /// Where it happened, if that is known.
    pub backtrace: Option<String>,
}

impl From<&HandlerError> for FailureReport {
    fn from(error: &HandlerError) -> Self {
        let backtrace = error.backtrace();
        let captured = backtrace.status() == BacktraceStatus::Captured;
        Self {
            code: error.code().clone(),
            message: error.to_string(),
            chain: error.causes().take(CAUSES).collect(),
            backtrace: captured.then(|| backtrace.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_code_message_and_causes_of_an_error() {
        let error =
            HandlerError::new(ErrorCode::from_static("x"), "not done").caused_by("no route");
        let report = FailureReport::from(&error);
        assert_eq!(report.code.as_str(), "x");
        assert_eq!(report.message, "not done");
        assert_eq!(report.chain, ["no route"]);
    }
}
