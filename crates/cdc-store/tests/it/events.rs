//! Failures to store.

use std::num::NonZeroU32;

use cdc_event::{ChangeIndex, EventId, Headers, Position};
use cdc_store::{Contents, ErrorReport, KafkaPosition, NewFailedEvent, Origin, Target};
use pg_lsn::Lsn;

/// The event at `lsn`, with its id, of the relay.
pub(crate) fn of_relay(lsn: u64, index: u64, id: &str) -> NewFailedEvent {
    let origin = Origin::Relay {
        system_id: "7123456789012345678".parse().unwrap(),
        slot: "cdc_relay".parse().unwrap(),
        position: Position {
            commit_lsn: Lsn::new(lsn),
            index: ChangeIndex::new(index),
        },
    };
    failed(origin, id)
}

/// The record at `offset` of a topic, of a consumer group.
pub(crate) fn of_consumer(group: &str, offset: i64) -> NewFailedEvent {
    let record = KafkaPosition {
        topic: "orders".into(),
        partition: 2,
        offset,
    };
    let origin = Origin::Consumer {
        group: group.into(),
        record,
        part: None,
    };
    failed(origin, &format!("event-{offset}"))
}

fn failed(origin: Origin, id: &str) -> NewFailedEvent {
    let mut headers = Headers::new();
    headers.push("id", Some(id.into()));
    NewFailedEvent {
        origin,
        event_id: Some(EventId::new(id).unwrap()),
        target: Some(Target {
            topic: "orders".into(),
            partition: None,
        }),
        contents: Contents {
            key: Some(b"42".to_vec()),
            payload: Some(id.into()),
            headers,
            timestamp_ms: Some(1_700_000_000_123),
        },
        error: ErrorReport::new("CDC0043", "too large", ["broker says no"]),
        attempts: NonZeroU32::MIN,
        first_failed_at: None,
        dead_letter: None,
    }
}
