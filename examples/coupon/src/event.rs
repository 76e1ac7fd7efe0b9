//! The event: somebody applied for a coupon, and this is its number.

use cdc_event::{ErrorCode, Failure, HandlerError, Record};
use serde::Deserialize;

use crate::numbers::{Sequence, UserId};

/// The kind of thing that the event is about; the topic is named after it.
pub(crate) const AGGREGATE: &str = "coupon-create";

/// What happened.
pub(crate) const TYPE: &str = "CouponRequested";

const MALFORMED: ErrorCode = ErrorCode::from_static("malformed-request");

/// The payload, as [`Applications`](crate::applications::Applications) writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CouponRequested {
    pub(crate) user_id: UserId,
    pub(crate) sequence: Sequence,
}

impl CouponRequested {
    /// Reads the event in a record.
    ///
    /// # Errors
    ///
    /// [`Failure::Poison`]: it will not become readable by trying again.
    pub(crate) fn read(record: &Record) -> Result<Self, Failure> {
        let value = record.value.as_deref().unwrap_or_default();
        serde_json::from_slice(value).map_err(|error| {
            let what = HandlerError::new(MALFORMED, "the record is no request for a coupon");
            Failure::poison(what.caused_by(error))
        })
    }
}

#[cfg(test)]
mod tests {
    use cdc_event::{Headers, KafkaPosition};

    use super::*;

    fn record(value: &str) -> Record {
        Record {
            origin: KafkaPosition {
                topic: AGGREGATE.into(),
                partition: 0,
                offset: 0,
            },
            part: None,
            key: None,
            value: Some(value.into()),
            headers: Headers::new(),
            timestamp_ms: None,
        }
    }

    #[test]
    fn reads_what_the_outbox_writes() {
        let read = CouponRequested::read(&record(r#"{"userId" : 7, "sequence" : 3}"#)).unwrap();
        assert_eq!((read.user_id, read.sequence), (UserId(7), Sequence(3)));
    }

    #[test]
    fn what_cannot_be_read_is_not_tried_again() {
        for value in ["", "{}", r#"{"userId":"x","sequence":1}"#] {
            let failure = CouponRequested::read(&record(value)).unwrap_err();
            assert!(matches!(failure, Failure::Poison { .. }), "{value}");
        }
    }
}
