//! What the user is told when something cannot go on: what happened, why, and what to do.

mod consumer;
mod context;
mod kafka;
mod lanes;
mod notifier;
mod postgres;
mod redirect;
mod report;
mod slot;
mod store;

use std::error::Error;
use std::fmt;

use crate::error_code::ErrorCode;
use crate::exit::Exit;

pub(crate) use self::context::Context;

/// The end of a command: one paragraph of what happened and where, the cause below it, and a remedy.
///
/// `Display` says what happened; the cause is only in [`Error::source`]. Texts must not contain secrets.
#[derive(Debug)]
pub(crate) struct Failure {
    code: ErrorCode,
    what: String,
    remedy: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// `what` is a full sentence or paragraph without the cause; `remedy` says what the reader can do.
    pub(crate) fn new(code: ErrorCode, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            code,
            what: what.into(),
            remedy: remedy.into(),
            source: None,
        }
    }

    /// A bug: something that the code takes for impossible.
    pub(crate) fn internal(what: impl Into<String>) -> Self {
        Self::new(
            ErrorCode::Internal,
            what,
            "report it with the lines above; the slot keeps every event that Kafka has not acknowledged",
        )
    }

    /// Adds the cause, which the report prints below what happened.
    #[must_use]
    pub(crate) fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The cause alone; a failure without one is its own cause.
    pub(crate) fn into_source(self) -> Box<dyn Error + Send + Sync> {
        match self.source {
            Some(source) => source,
            None => self.what.into(),
        }
    }

    /// The stable code.
    pub(crate) fn code(&self) -> ErrorCode {
        self.code
    }

    /// How the process should end.
    pub(crate) fn exit(&self) -> Exit {
        self.code.exit()
    }

    /// What the reader can do.
    pub(crate) fn remedy(&self) -> &str {
        &self.remedy
    }

    /// The causes, outermost first.
    pub(crate) fn causes(&self) -> Vec<String> {
        report::causes(self)
    }

    /// What happened and its causes in one line, for logs and `/status`.
    pub(crate) fn one_line(&self) -> String {
        let mut line = self.what.clone();
        for cause in report::causes(self) {
            line.push_str(": ");
            line.push_str(&cause);
        }
        line
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
