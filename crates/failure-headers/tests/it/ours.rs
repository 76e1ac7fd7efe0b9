//! What this system writes.

use std::num::NonZeroU32;
use std::time::Duration;

use failure_headers::{Family, dead_letter, put_off, read_dead_letter, read_retry, retry};

use crate::records::{Failing, now, own, somewhere};

#[test]
fn a_retry_tells_everything_again_and_gives_the_own_headers_back() {
    let failing = Failing::new();
    let due = now() + Duration::from_secs(60);
    let written = retry(&own(), &failing.failed(), Some(due));
    let (own_again, state) = read_retry(&written, &somewhere(), now());
    assert_eq!(own_again, own());
    let state = state.unwrap();
    assert_eq!(state.origin, failing.origin);
    assert_eq!(state.group.as_deref(), Some("billing"));
    assert_eq!(state.original_timestamp_ms, failing.timestamp_ms);
    assert_eq!(state.part, failing.part);
    assert_eq!(state.attempts.get(), 3);
    assert_eq!(state.first_failed_at, now());
    assert_eq!(state.not_before, Some(due));
    let report = state.report.unwrap();
    assert_eq!(report.code, failing.report.code);
    assert_eq!(report.message, failing.report.message);
    assert_eq!(state.failed_event, Some(17));
    assert_eq!(state.waited, None);
}

#[test]
fn a_record_that_only_waits_says_so_until_it_fails() {
    let failing = Failing::new();
    let waiting = put_off(&own(), &failing.failed(), None, 2);
    let (own_again, state) = read_retry(&waiting, &somewhere(), now());
    let state = state.unwrap();
    assert_eq!((own_again, state.waited), (own(), Some(2)));
    assert_eq!(state.attempts.get(), 3);
    let failed = retry(&waiting, &failing.failed(), None);
    let (_, state) = read_retry(&failed, &somewhere(), now());
    assert_eq!(state.unwrap().waited, None);
    let letter = dead_letter(&waiting, &failing.failed());
    assert_eq!(read_dead_letter(&letter).own, own());
}

#[test]
fn a_dead_letter_tells_everything_again_and_gives_the_own_headers_back() {
    let failing = Failing::new();
    let written = dead_letter(&own(), &failing.failed());
    let own_count = own().as_slice().len();
    assert_eq!(&written.as_slice()[..own_count], own().as_slice());
    let read = read_dead_letter(&written);
    assert_eq!(read.family, Some(Family::Ours));
    assert_eq!(read.own, own());
    assert_eq!(read.origin, Some(failing.origin));
    assert_eq!(read.group.as_deref(), Some("billing"));
    assert_eq!(read.original_timestamp_ms, failing.timestamp_ms);
    assert_eq!(read.part, failing.part);
    assert_eq!(read.attempts, NonZeroU32::new(3));
    assert_eq!(read.first_failed_at, Some(now()));
    assert_eq!(read.report, Some(failing.report));
    assert_eq!(read.failed_event, Some(17));
}

#[test]
fn a_dead_letter_has_the_names_and_encodings_of_spring() {
    let written = dead_letter(&own(), &Failing::new().failed());
    let value = |name: &str| written.last(name).unwrap().value.clone().unwrap();
    let expected: [(&str, &[u8]); 9] = [
        ("topic", b"orders"),
        ("partition", &[0, 0, 0, 2]),
        ("offset", &[0, 0, 1, 0, 0, 0, 0, 0]),
        ("timestamp", &1_700_000_000_123_i64.to_be_bytes()),
        ("timestamp-type", b"CreateTime"),
        ("consumer-group", b"billing"),
        ("fqcn", b"webhook-status"),
        ("message", b"the endpoint answered 500"),
        ("stacktrace", b"webhook-status\nCaused by: first cause\nCaused by: second\n\t| cause\n\n   0: main\n   1: start"),
    ];
    for (index, (name, bytes)) in expected.into_iter().enumerate() {
        let family = if index < 6 { "original" } else { "exception" };
        let name = format!("kafka_dlt-{family}-{name}");
        assert_eq!(
            value(&name),
            bytes,
            "{name}: {}",
            String::from_utf8_lossy(&value(&name))
        );
    }
    assert_eq!(value("cdc-error-code"), b"webhook-status");
    assert_eq!(value("cdc-attempts"), [0, 0, 0, 3]);
    assert_eq!(
        value("cdc-first-failure"),
        1_700_000_000_000_i64.to_be_bytes()
    );
}

#[test]
fn what_is_not_known_is_not_written() {
    let failing = Failing {
        timestamp_ms: None,
        part: None,
        failed_event: None,
        ..Failing::new()
    };
    let read = read_dead_letter(&dead_letter(&own(), &failing.failed()));
    assert_eq!(
        (read.original_timestamp_ms, read.part, read.failed_event),
        (None, None, None)
    );
    let (_, state) = read_retry(&retry(&own(), &failing.failed(), None), &somewhere(), now());
    let state = state.unwrap();
    assert_eq!(
        (state.original_timestamp_ms, state.part, state.failed_event),
        (None, None, None)
    );
    assert_eq!(state.not_before, None);
}

#[test]
fn a_record_of_somebody_else_in_a_retry_topic_has_no_state() {
    let (own_again, state) = read_retry(&own(), &somewhere(), now());
    assert_eq!((own_again, state), (own(), None));
}
