//! The event: somebody applied for a coupon, and this is its number.

use cdc_event::Record;
use serde::{Deserialize, Serialize};

use crate::numbers::{Sequence, UserId};

/// The kind of thing that the event is about; the topic is named after it.
pub(crate) const AGGREGATE: &str = "coupon-create";

/// What happened.
pub(crate) const TYPE: &str = "CouponRequested";

/// The payload, which [`Applications`](crate::applications::Applications) writes in SQL just so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The record's value is something else.
    pub(crate) fn read(record: &Record) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(record.value.as_deref().unwrap_or_default())
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
    fn reads_what_is_sent_without_the_outbox() {
        let (user_id, sequence) = (UserId(-7), Sequence(3));
        let sent = serde_json::to_string(&CouponRequested { user_id, sequence }).unwrap();
        assert_eq!(sent, r#"{"userId":-7,"sequence":3}"#);
        let read = CouponRequested::read(&record(&sent)).unwrap();
        assert_eq!((read.user_id, read.sequence), (user_id, sequence));
    }

    #[test]
    fn refuses_what_is_something_else() {
        for value in ["", "{}", r#"{"userId":"x","sequence":1}"#] {
            assert!(CouponRequested::read(&record(value)).is_err(), "{value}");
        }
    }
}
