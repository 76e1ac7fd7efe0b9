//! Headers: the column for them, trace contexts, `CloudEvents`.

use super::*;

#[test]
fn the_headers_column_becomes_headers_after_the_placed_ones() {
    let cells = with(order(), "headers", JSON, Some(r#"{"z":"1","a":null}"#));
    let made = row(&cells, |settings| place(settings, &["type:header"])).unwrap();
    let names: Vec<&str> = made.headers.iter().map(|header| &*header.0).collect();
    assert_eq!(names, ["id", "type", "z", "a"]);
    assert_eq!(header(&made, "a").as_deref(), Some("NULL"));
    let made = row(&cells, |settings| settings.header_format = Converter::Json).unwrap();
    assert_eq!(header(&made, "z").as_deref(), Some("\"1\""));
    assert_eq!(header(&made, "a").as_deref(), Some("null"));
    let wrong = with(order(), "headers", JSON, Some("[]"));
    assert!(matches!(row(&wrong, |_| {}), Err(InvalidRow::Headers(_))));
}

#[test]
fn a_valid_trace_context_is_passed_on_and_any_other_left_out() {
    let traced = |parent, state| {
        let cells = with(order(), "traceparent", TEXT, parent);
        row(&with(cells, "tracestate", TEXT, state), |_| {}).unwrap()
    };
    let made = traced(Some(PARENT), Some("a=1"));
    assert_eq!(header(&made, "traceparent").as_deref(), Some(PARENT));
    assert_eq!(header(&made, "tracestate").as_deref(), Some("a=1"));
    assert_eq!(made.notices, Notices::default());

    for (parent, state, kept) in [
        (Some("00-1-2-3"), Some("a=1"), 0),
        (None, Some("a=1"), 0),
        (Some(PARENT), Some("?"), 1),
    ] {
        let made = traced(parent, state);
        assert_eq!(made.headers.len(), 1 + kept, "{parent:?} {state:?}");
        assert!(made.notices.invalid_trace_context);
    }
    assert_eq!(traced(None, None).notices, Notices::default());
}

#[test]
fn a_trace_context_is_sent_once() {
    let headers = format!(r#"{{"traceparent":"{PARENT}","x":"1"}}"#);
    let cells = with(order(), "headers", JSON, Some(&headers));
    let made = row(&cells, |_| {}).unwrap();
    assert_eq!(header(&made, "traceparent").as_deref(), Some(PARENT));

    let cells = with(cells, "traceparent", TEXT, Some(PARENT));
    for list in [&[][..], &["traceparent:header"]] {
        let made = row(&cells, |settings| place(settings, list)).unwrap();
        let sent = made.headers.iter().filter(|h| h.0 == "traceparent");
        assert_eq!(sent.count(), 1, "{list:?}");
    }
    let made = row(
        &with(order(), "headers", JSON, Some(r#"{"traceparent":"x"}"#)),
        |_| {},
    )
    .unwrap();
    assert_eq!(header(&made, "traceparent"), None);
    assert!(made.notices.invalid_trace_context);
}

#[test]
fn a_cloud_event_has_its_attributes_in_headers() {
    let cloud = |settings: &mut OutboxSettings| {
        settings.format = EnvelopeFormat::CloudEvents(CloudEvents::default());
    };
    let made = row(&order(), cloud).unwrap();
    assert_eq!(made.value.as_deref(), Some(r#"{ "a" :1.50}"#));
    let expected = [
        ("id", "e1"),
        ("ce_specversion", "1.0"),
        ("ce_id", "e1"),
        ("ce_source", "/shop/outbox"),
        ("ce_type", "OrderCreated"),
        ("ce_time", "2023-11-14T22:13:20.123456Z"),
        ("ce_subject", "42"),
        ("content-type", "application/json"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), Some(value.to_owned())));
    assert_eq!(made.headers, expected);

    let bytes = with(order(), "payload", BYTEA, Some("\\x00"));
    let made = row(&bytes, cloud).unwrap();
    let media = header(&made, "content-type");
    assert_eq!(media.as_deref(), Some("application/octet-stream"));

    let untyped = with(order(), "type", TEXT, None);
    assert!(matches!(row(&untyped, cloud), Err(InvalidRow::NoType)));
}

#[test]
fn a_cloud_event_without_value_says_nothing_of_its_content() {
    let made = row(&with(order(), "payload", JSON, None), |settings| {
        settings.format = EnvelopeFormat::CloudEvents(CloudEvents {
            source: Some("/mine".to_owned()),
            content_type: Some("application/avro".to_owned()),
        });
        settings.header_format = Converter::Json;
    })
    .unwrap();
    assert_eq!(made.value, None);
    assert_eq!(header(&made, "content-type"), None);
    assert_eq!(header(&made, "ce_source").as_deref(), Some("/mine"));
    assert_eq!(header(&made, "id").as_deref(), Some("\"e1\""));
    assert_eq!(header(&made, "ce_id").as_deref(), Some("e1"));
}
