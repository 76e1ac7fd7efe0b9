//! What is wrong with a connection string, without repeating its secrets.

/// A connection string that can't be used. Values are never part of the message: one of them may be, or may
/// by a missing quote contain, the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOptions {
    /// A parameter that is not supported.
    #[error("unknown parameter {name:?}; known are {}", super::parameter::known())]
    UnknownParameter {
        /// The parameter's name, or `(not shown)` where it may be a part of another one's value.
        name: String,
    },
    /// A parameter with a value that it can't have.
    #[error("{parameter}: the value is not valid; allowed: {allowed}")]
    Value {
        /// The parameter's name.
        parameter: &'static str,
        /// What is allowed, in words.
        allowed: &'static str,
    },
    /// Two parameters, or a parameter and its absence, that contradict each other.
    #[error("{0}")]
    Contradiction(&'static str),
    /// The text is neither a URL nor `key=value` pairs.
    #[error(
        "neither a URL (postgres://user@host:5432/database?sslmode=require) nor key=value pairs \
         (host=… dbname=…): {problem} after parameter number {position}"
    )]
    Syntax {
        /// What is wrong.
        problem: &'static str,
        /// How many parameters were read before it.
        position: usize,
    },
    /// The part of a URL before its `?`.
    #[error(
        "the URL's user, host, port or database can't be read; the form is \
         postgres://user:password@host:5432/database, with special characters as %XX (an @ as %40)"
    )]
    Url,
    /// Nobody to connect as.
    #[error("no user: name one in the connection string, or set PGUSER")]
    NoUser,
    /// Nowhere to connect to.
    #[error(
        "no host: name at least one, or for a Unix socket its directory (host=/run/postgresql)"
    )]
    NoHost,
}
