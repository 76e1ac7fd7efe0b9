//! One attempt, after it was made.

use std::time::Duration;

use http::StatusCode;

use crate::error::SendError;

/// What came of a request. [`class`](Self::class) says what to do about it.
#[derive(Debug)]
#[must_use]
pub struct Attempt {
    /// The endpoint's answer, or why there is none.
    pub result: Result<Answer, SendError>,
    /// From the call to the answer, its body included.
    pub duration: Duration,
    /// The connection, if the request got one.
    pub connection: Option<Connection>,
}

/// What an endpoint answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// When it wants to be asked again; at most a day.
    pub retry_after: Option<Duration>,
    /// The beginning of the body: bounded by [`Settings::max_response_bytes`](crate::Settings::max_response_bytes),
    /// without control characters.
    pub excerpt: String,
}

/// Where a request's connection came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// Opened for it.
    Fresh,
    /// Kept open since an earlier one.
    Reused,
}

/// Whether the endpoint can have got the request: what an endpoint that must not hear twice depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// Certainly not: nothing of the request was sent.
    NotSent,
    /// It may have. Nobody can tell.
    Unknown,
    /// It has: it answered.
    Answered,
}

impl Attempt {
    /// Whether the endpoint can have got the request.
    #[must_use]
    pub const fn receipt(&self) -> Receipt {
        match &self.result {
            Ok(_) => Receipt::Answered,
            Err(error) => error.receipt(),
        }
    }

    /// The answer's status.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.result.as_ref().ok().map(|answer| answer.status)
    }

    /// When the endpoint wants to be asked again; at most a day.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.result
            .as_ref()
            .ok()
            .and_then(|answer| answer.retry_after)
    }
}
