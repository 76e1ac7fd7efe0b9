//! Why an event failed, within bounds.

use std::error::Error;

use crate::text::bounded;

/// Bytes of a code.
const CODE_BYTES: usize = 200;
/// Bytes of a message, and of each cause.
const MESSAGE_BYTES: usize = 4096;
/// Causes of one error; those beyond are dropped.
const CAUSES: usize = 16;
/// Bytes of a backtrace.
const BACKTRACE_BYTES: usize = 16 * 1024;

/// Why an event failed: a stable code, a message, and the causes below it, outermost first.
///
/// Bounded: 200 bytes of code, 4096 of message, 16 causes of 4096 bytes each, 16 KiB of backtrace; longer texts are cut
/// and end in `…`.
/// NUL is replaced. It must not contain secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorReport {
    code: String,
    message: String,
    chain: Vec<String>,
    backtrace: Option<String>,
}

impl ErrorReport {
    /// A report of texts.
    pub fn new<'a>(code: &str, message: &str, chain: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            code: bounded(code, CODE_BYTES),
            message: bounded(message, MESSAGE_BYTES),
            chain: chain
                .into_iter()
                .take(CAUSES)
                .map(|cause| bounded(cause, MESSAGE_BYTES))
                .collect(),
            backtrace: None,
        }
    }

    /// A report of an error with its sources.
    pub fn of(code: &str, error: &(dyn Error + 'static)) -> Self {
        let sources = std::iter::successors(error.source(), |cause| (*cause).source());
        let chain: Vec<String> = sources.take(CAUSES).map(ToString::to_string).collect();
        Self::new(code, &error.to_string(), chain.iter().map(String::as_str))
    }

    /// The report with where it happened.
    #[must_use]
    pub fn with_backtrace(self, backtrace: Option<&str>) -> Self {
        Self {
            backtrace: backtrace.map(|text| bounded(text, BACKTRACE_BYTES)),
            ..self
        }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What happened.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The causes, outermost first.
    #[must_use]
    pub fn chain(&self) -> &[String] {
        &self.chain
    }

    /// Where it happened, if that is known.
    #[must_use]
    pub fn backtrace(&self) -> Option<&str> {
        self.backtrace.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("level {0}")]
    struct Nested(u32, #[source] Option<Box<Nested>>);

    #[test]
    fn keeps_the_chain_of_an_error_within_bounds() {
        let deep = (0..100).fold(None, |inner, level| Some(Box::new(Nested(level, inner))));
        let report = ErrorReport::of("CDC0001", deep.unwrap().as_ref());
        assert_eq!(report.message(), "level 99");
        assert_eq!(report.chain().len(), CAUSES);
        assert_eq!(report.chain()[0], "level 98");

        let long = "x".repeat(100_000);
        let report = ErrorReport::new(&long, &long, std::iter::repeat_n(long.as_str(), 100))
            .with_backtrace(Some(&long));
        assert_eq!(report.backtrace().unwrap().len(), BACKTRACE_BYTES);
        let bytes: usize = report.chain().iter().map(String::len).sum();
        assert!(report.code().len() <= CODE_BYTES && report.message().len() <= MESSAGE_BYTES);
        assert!(bytes <= CAUSES * MESSAGE_BYTES);
    }
}
