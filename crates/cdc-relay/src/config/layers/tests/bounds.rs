//! Values outside their bounds.

use super::*;

/// Each (key, value, what is allowed) is refused, and both the key and what is allowed are said.
pub(super) fn refuses_by_name(cases: &[(&str, &str, &str)]) {
    for (key, value, constraint) in cases {
        let (code, what, _) = refusal(None, &[(key, value)]);
        assert_eq!(code, ErrorCode::InvalidValue, "{key}={value}");
        assert!(
            what.contains(constraint) && what.contains(key),
            "{key}={value}: {what}"
        );
    }
}

#[test]
fn refuses_values_outside_their_bounds() {
    refuses_by_name(&[
        ("CDC_RELAY__WIRE_TIMEOUT", "1ms", "at least \"1s\""),
        ("CDC_RELAY__MAX_IN_FLIGHT", "1KiB", "64KiB"),
        ("CDC_RELAY__SLOT", "No-Good", "a-z"),
        ("CDC_RELAY__DELIVERY", "at_most_once", "at_least_once"),
        ("CDC_KAFKA__TOPICS__PARTITIONS", "0", "between 1"),
        ("CDC_KAFKA__TOPICS__PARTITIONS", "six", "i32"),
        ("CDC_KAFKA__TOPICS__CREATE", "maybe", "boolean"),
        ("CDC_OUTBOX__TABLES", "outbox", "cdc.outbox"),
        ("CDC_OUTBOX__TOPIC", "no spaces", "letters"),
        ("CDC_OUTBOX__KEY", "", "name a column"),
        ("CDC_ADMIN__LISTEN", "9464", "127.0.0.1:9464"),
    ]);
}
