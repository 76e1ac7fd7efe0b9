//! Whatever is read may have been written by anybody.

use std::time::Duration;

use cdc_event::Headers;
use failure_headers::{RetryState, read_dead_letter, read_retry, retry};

use crate::records::{Failing, now, own, somewhere};

/// A good retry with one header set again, which is the one that counts.
fn with(name: &str, value: &[u8]) -> RetryState {
    let failing = Failing::new();
    let due = now() + Duration::from_secs(60);
    let mut headers = retry(&own(), &failing.failed(), Some(due));
    headers.push(name, Some(value.to_vec()));
    let (own_again, state) = read_retry(&headers, &somewhere(), now());
    assert_eq!(own_again, own());
    state.unwrap()
}

#[test]
fn attempts_that_make_no_sense_are_within_bounds() {
    let read = |value: &[u8]| with("cdc-attempts", value).attempts.get();
    assert_eq!(read(&[0, 0, 0, 9]), 9, "the last one counts");
    assert_eq!(read(&(-1_i32).to_be_bytes()), 1);
    assert_eq!(read(&i32::MAX.to_be_bytes()), 32_767);
    assert_eq!(read(b"many"), 32_767, "four bytes are a number");
    for wrong in [&b""[..], b"12", b"99999", &[0xff; 8]] {
        assert_eq!(read(wrong), 1, "{wrong:?}");
    }
}

#[test]
fn times_that_make_no_sense_neither_delay_nor_expire_a_record() {
    let far = now() + Duration::from_secs(24 * 3600 + 1);
    let milliseconds = |time: std::time::SystemTime| {
        let age = time.duration_since(std::time::UNIX_EPOCH).unwrap();
        u64::try_from(age.as_millis()).unwrap().to_be_bytes()
    };
    for wrong in [&milliseconds(far)[..], &[0xff; 8], &[1; 9], &[]] {
        assert_eq!(with("cdc-not-before", wrong).not_before, None, "{wrong:?}");
        assert_eq!(
            with("cdc-first-failure", wrong).first_failed_at,
            now(),
            "{wrong:?}"
        );
    }
    let soon = now() + Duration::from_secs(3600);
    let ahead = with("cdc-first-failure", &milliseconds(soon));
    assert_eq!(ahead.first_failed_at, now(), "nothing failed in the future");
}

#[test]
fn a_position_that_makes_no_sense_is_where_the_record_was_read() {
    for (name, value) in [
        ("cdc-origin-topic", &b""[..]),
        ("cdc-origin-partition", &(-1_i32).to_be_bytes()),
        ("cdc-origin-partition", b"2"),
        ("cdc-origin-offset", &(-1_i64).to_be_bytes()),
        ("cdc-origin-offset", &[0, 0, 0, 1]),
    ] {
        assert_eq!(with(name, value).origin, somewhere(), "{name}");
    }
}

#[test]
fn other_values_that_make_no_sense_are_missing() {
    assert_eq!(with("cdc-part", b"a\nb").part, None);
    assert_eq!(with("cdc-part", &[b'x'; 257]).part, None);
    assert_eq!(with("cdc-failed-event", b"17").failed_event, None);
    assert_eq!(
        with("cdc-failed-event", &(-17_i64).to_be_bytes()).failed_event,
        None
    );
    assert_eq!(
        with("cdc-group", &[b'a', 0xff]).group.as_deref(),
        Some("a\u{fffd}")
    );
}

#[test]
fn one_header_of_ours_alone_is_enough_not_to_reset_the_attempts() {
    let mut headers = Headers::new();
    headers.push("cdc-attempts", Some(vec![0, 0, 0, 7]));
    let state = read_retry(&headers, &somewhere(), now()).1.unwrap();
    assert_eq!((state.attempts.get(), state.origin), (7, somewhere()));
    let letter = read_dead_letter(&headers);
    assert_eq!(letter.attempts.unwrap().get(), 7);
    assert_eq!((letter.origin, letter.report), (None, None));
}
