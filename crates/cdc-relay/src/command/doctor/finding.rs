//! What a check found.

use serde::Serialize;

use crate::error_code::ErrorCode;
use crate::failure::Failure;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// In order.
    Ok,
    /// The relay works; something deserves a look.
    Warn,
    /// The relay does not work.
    Fail,
}

/// One line of the report.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Finding {
    /// What was looked at.
    pub(super) check: &'static str,
    /// How bad it is.
    pub(super) status: Status,
    /// What was found.
    pub(super) what: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
    /// The page to read, as text such as `CDC0013`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<&'static str>,
}

/// What all checks found, in their order.
#[derive(Debug, Default, Serialize)]
pub(super) struct Findings {
    pub(super) findings: Vec<Finding>,
}

impl Findings {
    /// In order.
    pub(super) fn ok(&mut self, check: &'static str, what: impl Into<String>) {
        self.findings.push(Finding {
            check,
            status: Status::Ok,
            what: what.into(),
            remedy: None,
            code: None,
        });
    }

    /// Works, but deserves a look.
    pub(super) fn warn(
        &mut self,
        check: &'static str,
        what: impl Into<String>,
        remedy: impl Into<String>,
        code: Option<ErrorCode>,
    ) {
        self.findings.push(Finding {
            check,
            status: Status::Warn,
            what: what.into(),
            remedy: Some(remedy.into()),
            code: code.map(ErrorCode::as_str),
        });
    }

    /// Does not work, for the reason that a command would give.
    pub(super) fn failed(&mut self, check: &'static str, failure: &Failure) {
        self.findings.push(Finding {
            check,
            status: Status::Fail,
            what: failure.one_line(),
            remedy: Some(failure.remedy().to_owned()),
            code: Some(failure.code().as_str()),
        });
    }

    /// Those of another check.
    pub(super) fn extend(&mut self, others: Self) {
        self.findings.extend(others.findings);
    }

    /// How many are this bad.
    pub(super) fn count(&self, status: Status) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.status == status)
            .count()
    }
}
