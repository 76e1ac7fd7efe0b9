//! Logical messages.

use super::*;

#[test]
fn a_message_s_payload_keeps_its_bytes() {
    let content = r#"{"id" : "e1", "aggregatetype":"order","aggregateid":"4\u0032","type":"T","extra":1,
        "payload":{"b": 1.50,  "a":[ ]}}"#;
    let made = made_of_message(content, |_| {}).unwrap();
    assert_eq!(made.topic, "outbox.event.order");
    assert_eq!(made.key.as_deref(), Some("42"));
    assert_eq!(made.value.as_deref(), Some(r#"{"b": 1.50,  "a":[ ]}"#));
    assert_eq!(made.headers, [("id".to_owned(), Some("e1".to_owned()))]);
    assert_eq!(made.timestamp, Some(1_700_000_000_123));
}

#[test]
fn a_message_s_payload_may_be_any_json() {
    let value = |payload: &str, change: fn(&mut OutboxSettings)| {
        let content = format!(r#"{{"id":"1","aggregatetype":"a","payload":{payload}}}"#);
        made_of_message(&content, change).unwrap().value
    };
    assert_eq!(value("null", |_| {}), None);
    assert_eq!(value("[1, 2]", |_| {}).as_deref(), Some("[1, 2]"));
    assert_eq!(value(r#""x\n""#, |_| {}).as_deref(), Some(r#""x\n""#));
    let unquoted = value(r#""x\n""#, |settings| {
        settings.message_payload = MessagePayload::Unquoted;
    });
    assert_eq!(unquoted.as_deref(), Some("x\n"));
    let described = value(r#"{"a": 1}"#, |settings| {
        settings.value_format = Converter::JsonSchema;
    });
    assert_eq!(
        described.as_deref(),
        Some(
            r#"{"schema":{"type":"string","optional":true,"name":"io.debezium.data.Json","version":1},"payload":"{\"a\": 1}"}"#
        )
    );
}

#[test]
fn a_message_is_placed_and_formatted_as_a_row_is() {
    let content = r#"{"id":7,"aggregatetype":"a","aggregateid":5000000000,"type":"T","payload":{"x":1},
        "p":3,"tenant":"acme","n":null,"at":"2024-02-29T10:34:56Z","headers":{"h":"1"}}"#;
    let made = made_of_message(content, |settings| {
        settings.key_format = Converter::JsonSchema;
        settings.columns.timestamp = Some("at".to_owned());
        place(
            settings,
            &[
                "p:partition",
                "tenant:header",
                "n:header",
                "tenant:envelope",
            ],
        );
    })
    .unwrap();
    assert_eq!(made.partition, Some(3));
    assert_eq!(made.timestamp, Some(1_709_202_896_000));
    assert_eq!(
        made.key.as_deref(),
        Some(r#"{"schema":{"type":"int64","optional":true},"payload":5000000000}"#)
    );
    assert_eq!(
        made.value.as_deref(),
        Some(r#"{"payload":{"x":1},"tenant":"acme"}"#)
    );
    let names: Vec<&str> = made.headers.iter().map(|header| &*header.0).collect();
    assert_eq!(names, ["id", "tenant", "n", "h"]);
    assert_eq!(header(&made, "n").as_deref(), Some("NULL"));
}

#[test]
fn a_message_without_identity_route_or_placed_member_is_refused() {
    for content in [
        r#"{"aggregatetype":"a"}"#,
        r#"{"id":"","aggregatetype":"a"}"#,
        r#"{"id":null,"aggregatetype":"a"}"#,
    ] {
        assert!(matches!(
            made_of_message(content, |_| {}),
            Err(InvalidRow::NoId)
        ));
    }
    assert!(matches!(
        made_of_message(r#"{"id":"1"}"#, |_| {}),
        Err(InvalidRow::NoRoute)
    ));
    let content = r#"{"id":"1","aggregatetype":"a"}"#;
    let placed = |settings: &mut OutboxSettings| place(settings, &["tenant:header"]);
    assert!(matches!(
        made_of_message(content, placed),
        Err(InvalidRow::MissingMember { name }) if name == "tenant"
    ));
    let lenient = |settings: &mut OutboxSettings| {
        placed(settings);
        settings.missing_placement = MissingPlacement::Ignore;
    };
    assert_eq!(made_of_message(content, lenient).unwrap().headers.len(), 1);
}

#[test]
fn content_that_is_not_an_object_is_refused() {
    for content in [&b""[..], b"[]", b"text", b"{\"id\":", b"\xff", b"{} {}"] {
        assert!(
            matches!(
                encoder(|_| {}).message(content, None),
                Err(InvalidRow::Message(_))
            ),
            "{content:?}"
        );
    }
}
