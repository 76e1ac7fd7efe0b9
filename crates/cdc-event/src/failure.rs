//! Why a handler could not deal with a record, and what that means.

use std::backtrace::Backtrace;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::record::PartId;

/// Why a record was not dealt with. The variant is the disposition: what the runner does next.
#[derive(Debug)]
pub enum Failure {
    /// It may succeed later: try again as the retry policy says.
    Transient {
        /// What happened.
        error: HandlerError,
        /// Not before this has passed; it only ever delays an attempt, and is capped by the runner.
        retry_after: Option<Duration>,
    },
    /// It was not tried, as it is not its time: somebody else may be at it, or what it is for has asked for a pause. No
    /// attempt is counted, however often that happens, until the runner finds that it takes too long.
    Wait {
        /// What it waits for.
        error: HandlerError,
        /// Not before this has passed; the runner bounds it in both directions.
        after: Duration,
    },
    /// It is being tried elsewhere, which ends by itself within a bounded time; the handler is to be asked again what came
    /// of it. As [`Wait`](Self::Wait), but it never takes too long.
    Underway {
        /// What goes on.
        error: HandlerError,
        /// Not before this has passed; the runner bounds it in both directions.
        after: Duration,
    },
    /// This record will never succeed: to the dead letters at once.
    Poison {
        /// What happened.
        error: HandlerError,
    },
    /// Parts of it are done and must not be done again; these are not.
    Partial {
        /// Each part goes on as a record of its own. None at all counts as success.
        parts: Vec<FailedPart>,
    },
    /// The handler cannot go on at all: stop, commit nothing.
    Fatal {
        /// What happened.
        error: HandlerError,
    },
}

/// A part of a record that was not dealt with.
#[derive(Debug)]
pub struct FailedPart {
    /// Its name.
    pub part: PartId,
    /// What happened.
    pub error: HandlerError,
    /// Whether it may succeed later.
    pub disposition: PartDisposition,
}

/// What a failed part needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartDisposition {
    /// As [`Failure::Transient`].
    Transient {
        /// Not before this has passed.
        retry_after: Option<Duration>,
    },
    /// As [`Failure::Wait`].
    Wait {
        /// Not before this has passed.
        after: Duration,
    },
    /// As [`Failure::Underway`].
    Underway {
        /// Not before this has passed.
        after: Duration,
    },
    /// As [`Failure::Poison`].
    Poison,
}

/// An error of a handler: a stable code to group and to choose policies by, words for people, and the cause.
#[derive(Debug)]
pub struct HandlerError {
    code: ErrorCode,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
    backtrace: Backtrace,
}

/// A stable code of an error, such as `webhook-status` or `CDC0044`; never a text with ids or times in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(Cow<'static, str>);

impl Failure {
    /// A failure that may pass.
    #[must_use]
    pub const fn transient(error: HandlerError) -> Self {
        Self::Transient {
            error,
            retry_after: None,
        }
    }

    /// No failure yet: it is to be tried when this has passed.
    #[must_use]
    pub const fn wait(error: HandlerError, after: Duration) -> Self {
        Self::Wait { error, after }
    }

    /// A failure that will not pass.
    #[must_use]
    pub const fn poison(error: HandlerError) -> Self {
        Self::Poison { error }
    }

    /// A failure that is not the record's.
    #[must_use]
    pub const fn fatal(error: HandlerError) -> Self {
        Self::Fatal { error }
    }
}

impl HandlerError {
    /// An error with its code and a message without a final stop. A backtrace is taken if `RUST_BACKTRACE` asks
    /// for it.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            source: None,
            backtrace: Backtrace::capture(),
        }
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            source: Some(source.into()),
            ..self
        }
    }

    /// The code.
    #[must_use]
    pub const fn code(&self) -> &ErrorCode {
        &self.code
    }

    /// Where it was made.
    pub const fn backtrace(&self) -> &Backtrace {
        &self.backtrace
    }

    /// The messages of the causes, the direct one first.
    pub fn causes(&self) -> impl Iterator<Item = String> {
        let first = self.source().map(ToString::to_string);
        let mut next = self.source().and_then(Error::source);
        first.into_iter().chain(std::iter::from_fn(move || {
            let current = next?;
            next = current.source();
            Some(current.to_string())
        }))
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for HandlerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl ErrorCode {
    /// A code that is known when the program is written.
    #[must_use]
    pub const fn from_static(code: &'static str) -> Self {
        Self(Cow::Borrowed(code))
    }

    /// A code that was read from somewhere.
    #[must_use]
    pub fn new(code: impl Into<String>) -> Self {
        Self(Cow::Owned(code.into()))
    }

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::fmt::Error);

    #[test]
    fn an_error_names_each_cause_once() {
        let error = HandlerError::new(ErrorCode::from_static("x"), "not done")
            .caused_by(Outer(std::fmt::Error));
        assert_eq!(error.to_string(), "not done");
        let causes: Vec<_> = error.causes().collect();
        assert_eq!(causes, ["outer", &std::fmt::Error.to_string()]);
    }
}
