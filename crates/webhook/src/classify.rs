//! What an attempt means. Nothing else in this crate decides that.

use std::fmt;
use std::io;

use http::StatusCode;
use rustls::{CertificateError, OtherError};

use crate::attempt::{Answer, Attempt, Receipt};
use crate::error::{SendError, Stage};
use crate::resolve::LookupError;

/// What to do about an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Done.
    Delivered,
    /// The endpoint is gone for good (410): send it nothing any more.
    Gone,
    /// It may succeed later.
    Retry,
    /// It will not succeed however often it is tried.
    Rejected,
}

/// A stable name of what happened, for metrics, policies and the attempt log: a closed set, without ids or times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(&'static str);

impl Attempt {
    /// What to do about it.
    ///
    /// | | |
    /// |---|---|
    /// | 2xx | delivered |
    /// | 410 | gone |
    /// | 408, 425, 429, 5xx | retry, after `Retry-After` |
    /// | other 3xx (never followed) and 4xx | rejected |
    /// | an URL or address that may not be asked, a body too large | rejected |
    /// | DNS, connection, TLS, time, a broken answer, any other status | retry |
    #[must_use]
    pub fn class(&self) -> Class {
        self.verdict().0
    }

    /// What happened.
    #[must_use]
    pub fn code(&self) -> Code {
        self.verdict().1
    }

    fn verdict(&self) -> (Class, Code) {
        let (class, code) = match &self.result {
            Ok(answer) => of_answer(answer),
            Err(error) => of_error(error),
        };
        (class, Code(code))
    }
}

impl SendError {
    /// Whether the endpoint can have got the request all the same.
    #[must_use]
    pub const fn receipt(&self) -> Receipt {
        match self {
            Self::Refused(_)
            | Self::TooLarge { .. }
            | Self::Lookup(_)
            | Self::Connect(_)
            | Self::Certificate(_)
            | Self::Tls(_)
            | Self::Timeout {
                stage: Stage::Lookup | Stage::Connect | Stage::Handshake,
                ..
            }
            | Self::ClosedEarly(_) => Receipt::NotSent,
            Self::Timeout {
                stage: Stage::Answer,
                ..
            }
            | Self::Closed(_) => Receipt::Unknown,
            // Whatever it was, it came after the request.
            Self::Protocol(_) => Receipt::Unknown,
        }
    }
}

fn of_answer(answer: &Answer) -> (Class, &'static str) {
    match answer.status {
        StatusCode::GONE => (Class::Gone, "webhook-gone"),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => (Class::Retry, "webhook-not-now"),
        StatusCode::TOO_MANY_REQUESTS => (Class::Retry, "webhook-throttled"),
        status => match status.as_u16() {
            200..=299 => (Class::Delivered, "webhook-delivered"),
            300..=399 => (Class::Rejected, "webhook-redirect"),
            400..=499 => (Class::Rejected, "webhook-client-error"),
            500..=599 => (Class::Retry, "webhook-server-error"),
            _ => (Class::Retry, "webhook-odd-status"),
        },
    }
}

fn of_error(error: &SendError) -> (Class, &'static str) {
    match error {
        SendError::Refused(_) => (Class::Rejected, "webhook-refused"),
        SendError::TooLarge { .. } => (Class::Rejected, "webhook-too-large"),
        SendError::Lookup(LookupError::NotFound) => (Class::Retry, "webhook-dns-not-found"),
        SendError::Lookup(LookupError::Unavailable) => (Class::Retry, "webhook-dns-unavailable"),
        SendError::Connect(error) => (Class::Retry, of_connect(error.kind())),
        SendError::Certificate(error) => (Class::Retry, of_certificate(error)),
        SendError::Tls(_) => (Class::Retry, "webhook-tls"),
        SendError::Timeout { stage, .. } => (Class::Retry, of_timeout(*stage)),
        SendError::ClosedEarly(_) | SendError::Closed(_) => (Class::Retry, "webhook-closed"),
        SendError::Protocol(_) => (Class::Retry, "webhook-protocol"),
    }
}

const fn of_connect(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::ConnectionRefused => "webhook-connection-refused",
        io::ErrorKind::TimedOut => "webhook-connection-timeout",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "webhook-unreachable",
        _ => "webhook-connection",
    }
}

fn of_certificate(error: &rustls::Error) -> &'static str {
    let rustls::Error::InvalidCertificate(error) = error else {
        return "webhook-certificate";
    };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "webhook-certificate-expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "webhook-certificate-not-yet-valid"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "webhook-certificate-other-host"
        }
        // Nobody who is trusted signed it, or somebody did who only has the name of one who is.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "webhook-certificate-untrusted"
        }
        CertificateError::Other(other) if is_authority_as_server(other) => {
            "webhook-certificate-untrusted"
        }
        _ => "webhook-certificate",
    }
}

/// What `openssl req -x509` makes for a server is an authority's certificate that signed itself.
fn is_authority_as_server(other: &OtherError) -> bool {
    matches!(
        other.0.downcast_ref(),
        Some(webpki::Error::CaUsedAsEndEntity)
    )
}

const fn of_timeout(stage: Stage) -> &'static str {
    match stage {
        Stage::Lookup => "webhook-dns-timeout",
        Stage::Connect | Stage::Handshake => "webhook-connection-timeout",
        Stage::Answer => "webhook-timeout",
    }
}

impl Code {
    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn answered(status: u16) -> Attempt {
        let status = StatusCode::from_u16(status).unwrap();
        let answer = Answer {
            status,
            retry_after: None,
            excerpt: String::new(),
        };
        Attempt {
            result: Ok(answer),
            duration: Duration::ZERO,
            connection: None,
        }
    }

    #[test]
    fn every_status_has_a_meaning() {
        for status in 100..=999 {
            let expected = match status {
                200..=299 => Class::Delivered,
                410 => Class::Gone,
                408 | 425 | 429 => Class::Retry,
                300..=499 => Class::Rejected,
                _ => Class::Retry,
            };
            assert_eq!(answered(status).class(), expected, "{status}");
            assert_eq!(answered(status).receipt(), Receipt::Answered);
        }
    }

    #[test]
    fn says_what_happened_in_a_word() {
        for (status, code) in [
            (204, "webhook-delivered"),
            (302, "webhook-redirect"),
            (404, "webhook-client-error"),
            (410, "webhook-gone"),
            (425, "webhook-not-now"),
            (429, "webhook-throttled"),
            (503, "webhook-server-error"),
            (999, "webhook-odd-status"),
        ] {
            assert_eq!(answered(status).code().as_str(), code);
        }
    }
}
