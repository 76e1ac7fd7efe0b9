//! Failures to write.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use cdc_event::{ErrorCode, Headers, KafkaPosition, PartId};
use failure_headers::{Failed, FailureReport};

/// What a [`Failed`] borrows from.
#[derive(Debug, Clone)]
pub(crate) struct Failing {
    pub(crate) group: String,
    pub(crate) origin: KafkaPosition,
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) part: Option<PartId>,
    pub(crate) attempts: u32,
    pub(crate) first_failed_at: SystemTime,
    pub(crate) report: FailureReport,
    pub(crate) failed_event: Option<i64>,
}

impl Failing {
    pub(crate) fn new() -> Self {
        Self {
            group: "billing".into(),
            origin: KafkaPosition {
                topic: "orders".into(),
                partition: 2,
                offset: 1 << 40,
            },
            timestamp_ms: Some(1_700_000_000_123),
            part: Some(PartId::new("ep_1").unwrap()),
            attempts: 3,
            first_failed_at: now(),
            report: FailureReport {
                code: ErrorCode::from_static("webhook-status"),
                message: "the endpoint answered 500".into(),
                chain: vec!["first cause".into(), "second\ncause".into()],
                backtrace: Some("   0: main\n   1: start".into()),
            },
            failed_event: Some(17),
        }
    }

    pub(crate) fn failed(&self) -> Failed<'_> {
        Failed {
            group: &self.group,
            origin: &self.origin,
            original_timestamp_ms: self.timestamp_ms,
            part: self.part.as_ref(),
            attempts: NonZeroU32::new(self.attempts).unwrap(),
            first_failed_at: self.first_failed_at,
            report: &self.report,
            failed_event: self.failed_event,
        }
    }
}

/// A whole second, so that milliseconds lose nothing of it.
pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

pub(crate) fn somewhere() -> KafkaPosition {
    KafkaPosition {
        topic: "orders.billing.retry-1".into(),
        partition: 0,
        offset: 5,
    }
}

/// Headers of an application, with everything that headers may be.
pub(crate) fn own() -> Headers {
    headers(&[
        ("id", Some(b"1")),
        ("id", None),
        ("", Some(b"")),
        ("ü", Some(&[0xff, 0])),
    ])
}

pub(crate) fn headers(of: &[(&str, Option<&[u8]>)]) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in of {
        headers.push(*name, value.map(<[u8]>::to_vec));
    }
    headers
}

/// Bytes of names and values.
pub(crate) fn size(headers: &Headers) -> usize {
    let sizes = headers.as_slice().iter().map(|header| {
        let value = header.value.as_ref().map_or(0, Vec::len);
        header.name.len() + value
    });
    sizes.sum()
}
