//! An event as a replay sends it.

use std::num::NonZeroU32;
use std::time::SystemTime;

use cdc_event::{ErrorCode, Headers, Record};
use cdc_store::{ClaimedEvent, Origin};
use failure_headers::{Failed, FailureReport, put_off, retry};

/// The code of what an endpoint missed.
const MISSED: ErrorCode = ErrorCode::from_static("endpoint-disabled");

/// The headers and the time of an event as a replay sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resent {
    /// Those of the event, with what a consumer group needs to know it again.
    pub headers: Headers,
    /// Milliseconds since 1970; `None` is the time of sending.
    pub timestamp_ms: Option<i64>,
}

impl Resent {
    /// What the relay could not send goes as it would have gone. What a consumer group failed at goes as one more retry
    /// of it: position, part, attempts and time stand in its headers. Its record has the time of sending, since brokers
    /// remove records by their time, and it may have waited in the store for longer than a retry topic keeps them. Its
    /// age counts from now on too, or it would be too old for any retry; the store keeps when it failed first.
    #[must_use]
    pub fn of(event: &ClaimedEvent) -> Self {
        let contents = &event.contents;
        let Origin::Consumer {
            group,
            record,
            part,
        } = &event.origin
        else {
            return Self {
                headers: contents.headers.clone(),
                timestamp_ms: contents.timestamp_ms,
            };
        };
        let report = FailureReport {
            code: ErrorCode::new(event.error.code()),
            message: event.error.message().to_owned(),
            chain: Vec::new(),
            backtrace: None,
        };
        let failed = Failed {
            group,
            origin: record,
            original_timestamp_ms: contents.timestamp_ms,
            part: part.as_ref(),
            attempts: event.attempts,
            first_failed_at: SystemTime::now(),
            report: &report,
            failed_event: Some(event.id.get()),
        };
        Self {
            headers: retry(&contents.headers, &failed, None),
            timestamp_ms: None,
        }
    }

    /// What a part of a record missed goes to that part alone, through the group's retry topics. It has not failed: all
    /// delays between attempts are still before it, and its age counts from now on. Its record has the time of sending, as
    /// that of [`of`](Self::of).
    #[must_use]
    pub fn missed(record: &Record, group: &str) -> Self {
        let report = FailureReport {
            code: MISSED,
            message: "the endpoint was disabled".to_owned(),
            chain: Vec::new(),
            backtrace: None,
        };
        let failed = Failed {
            group,
            origin: &record.origin,
            original_timestamp_ms: record.timestamp_ms,
            part: record.part.as_ref(),
            // The first was when it was missed. A record without one would be taken for one that waits for another.
            attempts: NonZeroU32::MIN.saturating_add(1),
            first_failed_at: SystemTime::now(),
            report: &report,
            failed_event: None,
        };
        Self {
            headers: put_off(&record.headers, &failed, None, 0),
            timestamp_ms: None,
        }
    }
}
