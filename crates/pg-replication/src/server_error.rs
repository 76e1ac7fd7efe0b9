//! Errors and notices that the server reports.
#![deny(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap
)]

mod sql_state;

use std::fmt;

pub use self::sql_state::SqlState;
use crate::body::Body;
use crate::protocol_error::ProtocolError;

/// An error or a notice as the server worded it.
///
/// Texts are in the server's language (`lc_messages`); [`code`](Self::code) and
/// [`severity`](Self::severity) are not. They may quote data of the failed statement.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerError {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, for programs.
    pub code: SqlState,
    /// What it is, for people, in one line.
    pub message: Box<str>,
    /// More about the problem.
    pub detail: Option<Box<str>>,
    /// What to do about it.
    pub hint: Option<Box<str>>,
    /// The call stack of the server's functions; `where` in PostgreSQL's documentation.
    pub context: Option<Box<str>>,
    /// The server's function that reports it: a name of its source code, the same in every language.
    pub routine: Option<Box<str>>,
}

/// How bad a report of the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The statement failed; the session goes on.
    Error,
    /// The session ends.
    Fatal,
    /// The whole server restarts.
    Panic,
    /// A notice that deserves attention.
    Warning,
    /// A notice.
    Notice,
    /// A notice asked for by the client.
    Info,
    /// A notice for the server's log.
    Log,
    /// A notice for developers.
    Debug,
}

impl ServerError {
    /// Only a broken structure fails: what is missing gets a neutral value, so that a strange report is
    /// never hidden behind a [`ProtocolError`].
    pub(crate) fn decode(body: &mut Body) -> Result<Self, ProtocolError> {
        let mut report = Self {
            severity: Severity::Error,
            code: SqlState::INTERNAL_ERROR,
            message: Box::default(),
            detail: None,
            hint: None,
            context: None,
            routine: None,
        };
        loop {
            let field = body.u8("a field type or the end of the fields")?;
            if field == 0 {
                return Ok(report);
            }
            let text = body.string("the text of a field")?.into_boxed_str();
            match field {
                b'V' => report.severity = Severity::from_name(&text).unwrap_or(Severity::Error),
                b'C' => report.code = SqlState::parse(&text).unwrap_or(SqlState::INTERNAL_ERROR),
                b'M' => report.message = text,
                b'D' => report.detail = Some(text),
                b'H' => report.hint = Some(text),
                b'W' => report.context = Some(text),
                b'R' => report.routine = Some(text),
                _ => {}
            }
        }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} (SQLSTATE {})",
            self.severity, self.message, self.code
        )
    }
}

impl std::error::Error for ServerError {}

impl Severity {
    const ALL: [Self; 8] = [
        Self::Error,
        Self::Fatal,
        Self::Panic,
        Self::Warning,
        Self::Notice,
        Self::Info,
        Self::Log,
        Self::Debug,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
            Self::Panic => "PANIC",
            Self::Warning => "WARNING",
            Self::Notice => "NOTICE",
            Self::Info => "INFO",
            Self::Log => "LOG",
            Self::Debug => "DEBUG",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.name() == name)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn decode(body: &'static [u8]) -> Result<ServerError, ProtocolError> {
        Body::read_all(
            "ErrorResponse",
            Bytes::from_static(body),
            ServerError::decode,
        )
    }

    #[test]
    fn keeps_what_the_server_said() {
        let error = decode(
            b"SSCHWERWIEGEND\0VFATAL\0C42704\0Mreplication slot \"x\" does not exist\0\
              Ddetail\0Hhint\0Wcontext\0Fslot.c\0L393\0RReplicationSlotAcquire\0\0",
        )
        .unwrap();
        assert_eq!(error.severity, Severity::Fatal);
        assert_eq!(error.code, SqlState::UNDEFINED_OBJECT);
        assert_eq!(error.detail.as_deref(), Some("detail"));
        assert_eq!(error.hint.as_deref(), Some("hint"));
        assert_eq!(error.context.as_deref(), Some("context"));
        assert_eq!(
            error.to_string(),
            "FATAL: replication slot \"x\" does not exist (SQLSTATE 42704)"
        );
    }

    #[test]
    fn a_strange_report_is_still_a_report() {
        let error = decode(b"C!\0VWORSE\0Mgr\xfc\xdfe\0\0").unwrap();
        assert_eq!(error.code, SqlState::INTERNAL_ERROR);
        assert_eq!(error.severity, Severity::Error);
        assert_eq!(&*error.message, "gr\u{fffd}\u{fffd}e");
    }

    #[test]
    fn refuses_a_broken_structure() {
        for body in [&b""[..], b"M", b"Mno end", b"Mno last zero\0", b"M\0\0x"] {
            decode(body).unwrap_err();
        }
    }
}
