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
    /// Where: a server, a slot, a table, a topic.
    #[serde(rename = "where")]
    pub(super) place: String,
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

/// What checks of one place found, in their order.
#[derive(Debug)]
pub(super) struct Findings {
    place: String,
    findings: Vec<Finding>,
}

/// What all checks found.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) findings: Vec<Finding>,
}

impl Findings {
    /// Nothing found yet at `place`.
    pub(super) fn at(place: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            findings: Vec::new(),
        }
    }

    /// In order.
    pub(super) fn ok(&mut self, check: &'static str, what: impl Into<String>) {
        self.add(check, Status::Ok, what.into(), None, None);
    }

    /// Works, but deserves a look.
    pub(super) fn warn(
        &mut self,
        check: &'static str,
        what: impl Into<String>,
        remedy: impl Into<String>,
        code: Option<ErrorCode>,
    ) {
        self.add(check, Status::Warn, what.into(), Some(remedy.into()), code);
    }

    /// Does not work, for a reason that only this command gives.
    pub(super) fn fail(
        &mut self,
        check: &'static str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(check, Status::Fail, what.into(), Some(remedy.into()), None);
    }

    /// Does not work, for the reason that a command would give.
    pub(super) fn failed(&mut self, check: &'static str, failure: &Failure) {
        let remedy = Some(failure.remedy().to_owned());
        self.add(
            check,
            Status::Fail,
            failure.one_line(),
            remedy,
            Some(failure.code()),
        );
    }

    /// True as long as nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    fn add(
        &mut self,
        check: &'static str,
        status: Status,
        what: String,
        remedy: Option<String>,
        code: Option<ErrorCode>,
    ) {
        self.findings.push(Finding {
            check,
            place: self.place.clone(),
            status,
            what,
            remedy,
            code: code.map(ErrorCode::as_str),
        });
    }
}

impl Report {
    /// Adds what was found at one place.
    pub(super) fn add(&mut self, found: Findings) {
        self.findings.extend(found.findings);
    }

    /// How many are this bad.
    pub(super) fn count(&self, status: Status) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.status == status)
            .count()
    }
}
