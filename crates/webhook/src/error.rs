//! Why a request got no answer.

use std::io;
use std::time::Duration;

use crate::guard::Refusal;
use crate::resolve::LookupError;

/// Why there is no answer. The message may be shown to the owner of the endpoint: it names no address.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// It may not be asked.
    #[error("the endpoint may not be asked")]
    Refused(#[source] Refusal),
    /// More than a receiver can be asked to take.
    #[error("the body has {bytes} bytes, more than the {limit} that may be sent")]
    TooLarge {
        /// The body.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// No address.
    #[error("the endpoint's host could not be looked up")]
    Lookup(#[source] LookupError),
    /// No connection to any of its addresses; this is why for the last one.
    #[error("no connection to the endpoint")]
    Connect(#[source] io::Error),
    /// A certificate that is expired, of another host, or of an authority that nobody trusts.
    #[error("the endpoint's certificate is not valid")]
    Certificate(#[source] rustls::Error),
    /// No encryption otherwise.
    #[error("no encrypted connection to the endpoint")]
    Tls(#[source] io::Error),
    /// The time was up.
    #[error("the endpoint took longer than {} ms; it was {}", limit.as_millis(), stage.doing())]
    Timeout {
        /// What was going on.
        stage: Stage,
        /// What it had.
        limit: Duration,
    },
    /// The connection broke before the request was on its way.
    #[error("the endpoint closed the connection before it took the request")]
    ClosedEarly(#[source] hyper::Error),
    /// The connection broke before an answer came.
    #[error("the endpoint closed the connection without an answer")]
    Closed(#[source] hyper::Error),
    /// What came is not HTTP, or its headers are too long.
    #[error("the endpoint's answer is not HTTP")]
    Protocol(#[source] hyper::Error),
}

/// What a request was waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The addresses of the host.
    Lookup,
    /// A connection.
    Connect,
    /// Encryption, or the start of HTTP/2.
    Handshake,
    /// Status and headers of the answer: the request may have been received.
    Answer,
}

impl Stage {
    const fn doing(self) -> &'static str {
        match self {
            Self::Lookup => "looked up",
            Self::Connect => "connected to",
            Self::Handshake => "agreeing on encryption or protocol",
            Self::Answer => "expected to answer",
        }
    }
}
