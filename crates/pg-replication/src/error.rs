//! What can go wrong with a session or a stream, and what to do about it.
#![deny(clippy::wildcard_enum_match_arm)]

use std::fmt;
use std::io;
use std::time::Duration;

use crate::connect::{AuthenticationError, TlsError};
use crate::options::InvalidOptions;
use crate::protocol_error::ProtocolError;
use crate::server_error::{ServerError, SqlState};

/// What to do after an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// It may go away by itself: connect anew after a pause.
    Transient,
    /// Another process streams the slot: wait, and take over when it ends.
    Standby,
    /// It stays until somebody changes settings, grants or objects: stop and say so.
    Permanent,
}

/// An error of this crate. [`disposition`](Self::disposition) says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection string.
    #[error("the connection string is not valid")]
    InvalidOptions(#[from] InvalidOptions),
    /// No host could be reached.
    #[error("cannot connect to {target}: {}", Reasons(attempts))]
    Connect {
        /// [`ConnectOptions::target`](crate::ConnectOptions::target).
        target: String,
        /// What happened, in the order of the attempts.
        attempts: Vec<Attempt>,
    },
    /// The connection could not be encrypted as `sslmode` asks.
    #[error("no TLS as sslmode asks")]
    Tls(#[source] TlsError),
    /// We could not prove who we are, or the server who it is.
    #[error("authentication as {user} failed")]
    Authentication {
        /// The role.
        user: String,
        /// Why.
        source: AuthenticationError,
    },
    /// The server refused, or ended the session.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Bytes that are not the protocol.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The connection broke.
    #[error("could not {doing}")]
    Io {
        /// What we did.
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The server closed the connection without a word.
    #[error("the server closed the connection")]
    Closed,
    /// The server sent nothing, not even when asked to.
    #[error("not a byte from the server for {limit:?}, although it was asked for an answer")]
    Silent {
        /// The time without a byte.
        limit: Duration,
    },
    /// The server is shutting down, and waited long enough for what is not acknowledged. Nothing is lost: it is
    /// sent again after the restart.
    #[error(
        "the server is shutting down and waits only for us; what is not acknowledged is sent again later"
    )]
    ServerStopping,
    /// The publication does not exist where the slot stands. PostgreSQL 18 and newer only warn of that, and leave out
    /// what it would carry; older ones refuse, with SQLSTATE 42704.
    #[error("the server leaves out the changes of a publication that does not exist there")]
    PublicationPassedOver(#[source] ServerError),
    /// Something between us and PostgreSQL doesn't speak the replication protocol.
    #[error(
        "what answers is a connection pooler (PgBouncer, pgcat, Supavisor, RDS Proxy …) that does not pass \
         replication on: connect to PostgreSQL itself, usually another host or port"
    )]
    Pooler(#[source] ServerError),
    /// Not done in time.
    #[error("could not {doing} within {limit:?}")]
    TimedOut {
        /// What we did.
        doing: &'static str,
        /// The time it had.
        limit: Duration,
    },
    /// The server is a standby where `target_session_attrs` asks for a primary, or the other way round.
    #[error("the server is not {wanted}, as target_session_attrs asks")]
    WrongRole {
        /// `read-write` or `read-only`.
        wanted: &'static str,
    },
    /// The ordinary SQL session failed on our side, as by a value of another type than expected.
    #[error("the SQL session failed")]
    Client(#[source] tokio_postgres::Error),
}

/// One address that was tried.
#[derive(Debug)]
pub struct Attempt {
    /// The host, and the address when it was looked up.
    pub address: String,
    /// Why it failed.
    pub error: Error,
}

impl Error {
    /// What to do: the one place that decides it. What nobody knows counts as transient.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Server(error) => of_server_error(error),
            Self::Connect { attempts, .. } => of_attempts(attempts),
            Self::Tls(error) if error.is_permanent() => Disposition::Permanent,
            Self::InvalidOptions(_)
            | Self::Authentication { .. }
            | Self::PublicationPassedOver(_)
            | Self::Pooler(_) => Disposition::Permanent,
            Self::Tls(_)
            | Self::Protocol(_)
            | Self::Io { .. }
            | Self::Closed
            | Self::Silent { .. }
            | Self::ServerStopping
            | Self::TimedOut { .. }
            | Self::WrongRole { .. }
            | Self::Client(_) => Disposition::Transient,
        }
    }

    /// The SQLSTATE, when the server gave one.
    #[must_use]
    pub fn sql_state(&self) -> Option<SqlState> {
        match self {
            Self::Server(error) | Self::PublicationPassedOver(error) | Self::Pooler(error) => {
                Some(error.code)
            }
            Self::InvalidOptions(_)
            | Self::Connect { .. }
            | Self::Tls(_)
            | Self::Authentication { .. }
            | Self::Protocol(_)
            | Self::Io { .. }
            | Self::Closed
            | Self::Silent { .. }
            | Self::ServerStopping
            | Self::TimedOut { .. }
            | Self::WrongRole { .. }
            | Self::Client(_) => None,
        }
    }
}

/// With several hosts one that may come back is enough to go on trying.
fn of_attempts(attempts: &[Attempt]) -> Disposition {
    let permanent = attempts
        .iter()
        .all(|attempt| attempt.error.disposition() == Disposition::Permanent);
    if permanent && !attempts.is_empty() {
        Disposition::Permanent
    } else {
        Disposition::Transient
    }
}

fn of_server_error(error: &ServerError) -> Disposition {
    match error.code.as_str() {
        "55006" => Disposition::Standby,
        // Feature not supported, bad parameter value, unknown database, slot not usable (invalidated,
        // wal_level too low).
        "0A000" | "22023" | "3D000" | "55000" => Disposition::Permanent,
        // Invalid authorisation; syntax, missing objects and missing privileges.
        code if code.starts_with("28") || code.starts_with("42") => Disposition::Permanent,
        _ => Disposition::Transient,
    }
}

struct Reasons<'a>(&'a [Attempt]);

impl fmt::Display for Reasons<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Attempt { address, error }) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{address}: {error}")?;
            let mut cause = std::error::Error::source(error);
            while let Some(error) = cause {
                write!(f, ": {error}")?;
                cause = error.source();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server_error::Severity;

    fn server(code: &str) -> Error {
        Error::Server(ServerError {
            severity: Severity::Fatal,
            code: SqlState::parse(code).unwrap(),
            message: "a reason".into(),
            detail: None,
            hint: None,
            context: None,
            routine: None,
        })
    }

    fn connect(errors: Vec<Error>) -> Error {
        let attempt = |error| Attempt {
            address: "host:5432".to_owned(),
            error,
        };
        Error::Connect {
            target: "host:5432/app as relay".to_owned(),
            attempts: errors.into_iter().map(attempt).collect(),
        }
    }

    #[test]
    fn decides_by_the_sqlstate() {
        for (disposition, codes) in [
            (Disposition::Standby, &["55006"][..]),
            (
                Disposition::Permanent,
                &[
                    "28000", "28P01", "3D000", "42501", "42704", "42601", "42710", "42P01",
                    "55000", "0A000", "22023",
                ],
            ),
            (
                Disposition::Transient,
                &[
                    "57P01", "57P02", "57P03", "57P05", "53300", "53100", "08006", "40001",
                    "58P01", "XX000", "22000", "25006", "ZZ999",
                ],
            ),
        ] {
            for code in codes {
                assert_eq!(server(code).disposition(), disposition, "{code}");
            }
        }
    }

    #[test]
    fn goes_on_while_one_host_may_come_back() {
        let certificate = || Error::Tls(TlsError::NotOffered);
        let refused = || Error::Io {
            doing: "connect",
            source: io::ErrorKind::ConnectionRefused.into(),
        };
        assert_eq!(
            connect(vec![certificate(), certificate()]).disposition(),
            Disposition::Permanent
        );
        assert_eq!(
            connect(vec![certificate(), refused()]).disposition(),
            Disposition::Transient
        );
        assert_eq!(
            connect(vec![server("57P03")]).disposition(),
            Disposition::Transient
        );
    }

    #[test]
    fn says_each_cause_once() {
        let error = connect(vec![Error::Tls(TlsError::NotOffered), server("57P03")]);
        assert_eq!(
            error.to_string(),
            "cannot connect to host:5432/app as relay: host:5432: no TLS as sslmode asks: the server does not offer \
             TLS (its setting ssl is off), and sslmode asks for it; host:5432: FATAL: a reason (SQLSTATE 57P03)"
        );
        assert!(std::error::Error::source(&error).is_none());
    }
}
