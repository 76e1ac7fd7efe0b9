use pg_replication::pgoutput::{Column, RelationId, ReplicaIdentity, TypeOid};

use super::*;
use crate::settings::{CloudEvents, ExpandJson, MessagePayload, MissingPlacement, OnIllegalTopic};

const TEXT: u32 = 25;
const BYTEA: u32 = 17;
const INT4: u32 = 23;
const INT8: u32 = 20;
const JSON: u32 = 114;
const TIMESTAMPTZ: u32 = 1184;
const UUID: u32 = 2950;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A table's columns with the values of one row.
type Cells<'a> = Vec<(&'a str, u32, Option<&'a str>)>;

fn order<'a>() -> Cells<'a> {
    vec![
        ("id", UUID, Some("e1")),
        ("aggregatetype", TEXT, Some("order")),
        ("aggregateid", TEXT, Some("42")),
        ("type", TEXT, Some("OrderCreated")),
        ("payload", JSON, Some(r#"{ "a" :1.50}"#)),
    ]
}

fn with<'a>(mut cells: Cells<'a>, name: &'a str, oid: u32, value: Option<&'a str>) -> Cells<'a> {
    match cells.iter_mut().find(|cell| cell.0 == name) {
        Some(cell) => *cell = (name, oid, value),
        None => cells.push((name, oid, value)),
    }
    cells
}

fn relation(cells: &Cells<'_>) -> Relation {
    let column = |&(name, oid, _): &(&str, u32, _)| Column {
        is_key: name == "id",
        name: name.to_owned(),
        type_oid: TypeOid(oid),
        type_modifier: -1,
    };
    Relation {
        id: RelationId(1),
        namespace: "shop".to_owned(),
        name: "outbox".to_owned(),
        replica_identity: ReplicaIdentity::Default,
        columns: cells.iter().map(column).collect(),
    }
}

fn tuple(cells: &Cells<'_>) -> Tuple {
    Tuple::from_texts(cells.iter().map(|cell| cell.2.map(str::as_bytes))).unwrap()
}

fn encoder(change: impl FnOnce(&mut OutboxSettings)) -> Encoder {
    let mut settings = OutboxSettings::default();
    change(&mut settings);
    Encoder::new(settings).unwrap()
}

/// 2023-11-14T22:13:20.123456Z.
fn committed() -> PgTimestamp {
    PgTimestamp::from_micros(1_700_000_000_123_456 - 946_684_800_000_000)
}

/// What an event is made into, in a form that is easy to compare.
#[derive(Debug, PartialEq, Eq)]
struct Made {
    topic: String,
    partition: Option<i32>,
    key: Option<String>,
    value: Option<String>,
    headers: Vec<(String, Option<String>)>,
    timestamp: Option<i64>,
    notices: Notices,
}

fn made(event: Result<Event<'_>, InvalidRow>) -> Result<Made, InvalidRow> {
    let text = |bytes: Option<Cow<'_, [u8]>>| {
        bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    event.map(|event| Made {
        topic: event.topic.to_owned(),
        partition: event.partition.map(|partition| partition.0),
        key: text(event.key),
        value: text(event.value),
        headers: event
            .headers
            .into_iter()
            .map(|header| (header.name.into_owned(), text(header.value)))
            .collect(),
        timestamp: event.timestamp.map(|time| time.0),
        notices: event.notices,
    })
}

fn row(cells: &Cells<'_>, change: impl FnOnce(&mut OutboxSettings)) -> Result<Made, InvalidRow> {
    let mut encoder = encoder(change);
    let layout = encoder.layout(&relation(cells)).unwrap();
    made(encoder.row(&layout, &tuple(cells), Some(committed())))
}

fn message(content: &str, change: impl FnOnce(&mut OutboxSettings)) -> Result<Made, InvalidRow> {
    made(encoder(change).message(content.as_bytes(), Some(committed())))
}

fn place(settings: &mut OutboxSettings, list: &[&str]) {
    settings.placement = list.iter().map(|text| text.parse().unwrap()).collect();
}

fn header(made: &Made, name: &str) -> Option<String> {
    let found = made.headers.iter().find(|header| header.0 == name);
    found.map(|header| header.1.clone().unwrap_or_else(|| "NULL".to_owned()))
}

#[test]
fn by_default_the_bytes_of_the_row_pass_through() {
    let cells = order();
    let mut encoder = Encoder::new(OutboxSettings::default()).unwrap();
    let layout = encoder.layout(&relation(&cells)).unwrap();
    let tuple = tuple(&cells);
    let event = encoder.row(&layout, &tuple, Some(committed())).unwrap();
    assert_eq!((event.topic, event.route), ("outbox.event.order", "order"));
    assert!(matches!(&event.id, Cow::Borrowed(b"e1")));
    assert!(matches!(&event.key, Some(Cow::Borrowed(b"42"))));
    assert!(matches!(
        &event.value,
        Some(Cow::Borrowed(b"{ \"a\" :1.50}"))
    ));
    assert_eq!(event.headers.len(), 1);
    assert!(!event.headers.spilled());
    assert_eq!(event.timestamp, Some(UnixMillis(1_700_000_000_123)));
}

#[test]
fn columns_are_found_by_their_names_wherever_they_stand() {
    let mut cells = order();
    cells.reverse();
    let cells = with(cells, "other", TEXT, Some("x"));
    assert_eq!(row(&cells, |_| {}).unwrap(), row(&order(), |_| {}).unwrap());
}

#[test]
fn a_column_may_be_more_than_one_thing() {
    let made = row(&order(), |settings| {
        settings.columns.key = "type".to_owned();
        settings.columns.route_by = "type".to_owned();
    })
    .unwrap();
    assert_eq!(made.topic, "outbox.event.OrderCreated");
    assert_eq!(made.key.as_deref(), Some("OrderCreated"));
}

#[test]
fn a_missing_column_is_named_with_its_option() {
    let mut encoder = encoder(|settings| place(settings, &["tenant:header"]));
    let fault = |cells: &Cells<'_>| encoder.layout(&relation(cells)).unwrap_err();
    assert_eq!(
        fault(&order()).to_string(),
        "table shop.outbox does not publish the column \"tenant\", which [outbox] placement names"
    );
    let cells = order()
        .into_iter()
        .filter(|cell| cell.0 != "aggregateid")
        .collect();
    assert!(matches!(
        fault(&cells),
        UnsuitableTable::MissingColumn { option: "key", .. }
    ));
    encoder.settings.missing_placement = MissingPlacement::Ignore;
    assert!(encoder.layout(&relation(&order())).is_ok());
}

#[test]
fn a_column_of_a_type_that_cannot_be_used_is_refused_before_its_first_row() {
    let cells = with(order(), "p", TEXT, Some("1"));
    let encoder = encoder(|settings| place(settings, &["p:partition"]));
    assert!(matches!(
        encoder.layout(&relation(&cells)),
        Err(UnsuitableTable::WrongType {
            option: "placement",
            ..
        })
    ));
}

#[test]
fn identity_and_route_cannot_be_null() {
    let null = |name| row(&with(order(), name, TEXT, None), |_| {});
    assert!(matches!(null("id"), Err(InvalidRow::NoId)));
    assert!(matches!(null("aggregatetype"), Err(InvalidRow::NoRoute)));
    assert!(matches!(
        row(&with(order(), "id", TEXT, Some("")), |_| {}),
        Err(InvalidRow::NoId)
    ));
    let made = null("aggregateid").unwrap();
    assert_eq!(made.key, None);
}

#[test]
fn a_topic_that_kafka_refuses_is_refused_or_mended() {
    let cells = with(order(), "aggregatetype", TEXT, Some("my order"));
    assert!(matches!(
        row(&cells, |_| {}),
        Err(InvalidRow::IllegalTopic(_))
    ));
    let made = row(&cells, |settings| {
        settings.illegal_topic = OnIllegalTopic::Sanitize;
    })
    .unwrap();
    assert_eq!(made.topic, "outbox.event.my_order");
}

#[test]
fn a_partition_column_chooses_the_partition() {
    let partition = |value| {
        let cells = with(order(), "p", INT4, value);
        row(&cells, |settings| place(settings, &["p:partition"]))
    };
    assert_eq!(partition(Some("5")).unwrap().partition, Some(5));
    assert_eq!(partition(None).unwrap().partition, None);
    assert!(matches!(
        partition(Some("-1")),
        Err(InvalidRow::Partition { .. })
    ));
}

#[test]
fn a_timestamp_column_of_any_kind_is_the_record_s_time() {
    let time = |oid, value| {
        row(&with(order(), "at", oid, value), |settings| {
            settings.columns.timestamp = Some("at".to_owned());
        })
        .map(|made| made.timestamp.unwrap())
    };
    for (oid, text, millis) in [
        (1114, "2024-02-29 12:34:56.789999", 1_709_210_096_789),
        (TIMESTAMPTZ, "2024-02-29 12:34:56.789+02", 1_709_202_896_789),
        (1082, "2024-02-29", 1_709_164_800_000),
        (INT8, "1700000000123", 1_700_000_000_123),
        (TEXT, "2024-02-29T10:34:56Z", 1_709_202_896_000),
    ] {
        assert_eq!(time(oid, Some(text)).unwrap(), millis, "{text}");
    }
    assert_eq!(time(INT8, None).unwrap(), 1_700_000_000_123);
    for (oid, text) in [
        (INT8, "0"),
        (INT8, "9223372036854775807"),
        (1114, "1969-12-31 23:59:59.5"),
        (TIMESTAMPTZ, "infinity"),
        (TEXT, "yesterday"),
    ] {
        assert!(
            matches!(time(oid, Some(text)), Err(InvalidRow::Timestamp { .. })),
            "{text}"
        );
    }
}

#[test]
fn bytes_stay_bytes() {
    let cells = with(order(), "payload", BYTEA, Some("\\x00ff"));
    let cells = with(cells, "aggregateid", BYTEA, Some("\\x01"));
    let mut encoder = encoder(|_| {});
    let layout = encoder.layout(&relation(&cells)).unwrap();
    let tuple = tuple(&cells);
    let event = encoder.row(&layout, &tuple, None).unwrap();
    assert_eq!(event.value.as_deref(), Some(&[0x00, 0xff][..]));
    assert_eq!(event.key.as_deref(), Some(&[0x01][..]));
    assert_eq!(event.timestamp, None);
}

#[test]
fn lossless_expansion_keeps_numbers_nulls_and_empty_arrays() {
    let document = r#"{ "n" : 12345678901234567890.10, "x":null, "e" : [ ], "n":1 }"#;
    let expanded = |format: Converter, payload| {
        row(&with(order(), "payload", TEXT, payload), |settings| {
            settings.expand_json = ExpandJson::Lossless;
            settings.value_format = format;
        })
        .unwrap()
    };
    for format in [Converter::Plain, Converter::Json] {
        let made = expanded(format, Some(document));
        assert_eq!(
            made.value.as_deref(),
            Some(r#"{"n":12345678901234567890.10,"x":null,"e":[],"n":1}"#)
        );
        assert!(!made.notices.unexpanded);
    }
    let made = expanded(Converter::Json, Some("[1, 2.5]"));
    assert_eq!(made.value.as_deref(), Some("[1,2.5]"));
    let made = expanded(Converter::Json, Some("not JSON"));
    assert_eq!(made.value.as_deref(), Some("\"not JSON\""));
    assert!(made.notices.unexpanded);
    assert!(!expanded(Converter::Json, None).notices.unexpanded);
}

#[test]
fn what_debezium_cannot_expand_is_sent_as_it_is_and_counted() {
    for document in [
        r#"{"a":12345678901234567890}"#,
        r#"[{"a":1}]"#,
        r#"{"a":[1,"x"]}"#,
    ] {
        let made = row(
            &with(order(), "payload", JSON, Some(document)),
            |settings| {
                settings.expand_json = ExpandJson::Debezium;
                settings.value_format = Converter::Json;
            },
        )
        .unwrap();
        let value: String = serde_json::from_str(&made.value.unwrap()).unwrap();
        assert_eq!(value, document);
        assert!(made.notices.unexpanded);
    }
}

#[test]
fn a_tombstone_keeps_key_headers_and_topic() {
    let made = row(&with(order(), "payload", TEXT, Some(" ")), |settings| {
        settings.tombstone_on_empty = true;
        settings.value_format = Converter::JsonSchema;
        place(settings, &["type:header", "type:envelope"]);
    })
    .unwrap();
    assert_eq!(made.value, None);
    assert_eq!(made.key.as_deref(), Some("42"));
    assert_eq!(header(&made, "type").as_deref(), Some("OrderCreated"));
    assert_eq!(made.topic, "outbox.event.order");
}

#[test]
fn an_envelope_of_plain_values_is_json() {
    let made = row(&order(), |settings| place(settings, &["type:envelope:t"])).unwrap();
    assert_eq!(
        made.value.as_deref(),
        Some(r#"{"payload":"{ \"a\" :1.50}","t":"OrderCreated"}"#)
    );
}

#[test]
fn the_envelope_s_schema_has_table_route_and_version() {
    let cells = with(order(), "v", INT4, Some("3"));
    let made = row(&cells, |settings| {
        settings.value_format = Converter::JsonSchema;
        settings.schema_prefix = "dbz".to_owned();
        settings.columns.schema_version = Some("v".to_owned());
        place(settings, &["id:envelope"]);
    })
    .unwrap();
    assert_eq!(
        made.value.as_deref(),
        Some(
            r#"{"schema":{"type":"struct","fields":[{"type":"string","optional":true,"name":"io.debezium.data.Json","version":1,"field":"payload"},{"type":"string","optional":false,"name":"io.debezium.data.Uuid","version":1,"field":"id"}],"optional":false,"name":"dbz.shop.outbox.order.Value","version":3},"payload":{"payload":"{ \"a\" :1.50}","id":"e1"}}"#
        )
    );
}

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

#[test]
fn a_row_that_does_not_fit_its_description_is_refused() {
    let mut encoder = encoder(|_| {});
    let layout = encoder.layout(&relation(&order())).unwrap();
    let short = Tuple::from_texts([None, None]).unwrap();
    assert!(matches!(
        encoder.row(&layout, &short, None),
        Err(InvalidRow::ColumnCount {
            expected: 5,
            found: 2
        })
    ));
    let cells = with(order(), "payload", BYTEA, Some("not hexadecimal"));
    assert!(matches!(
        row(&cells, |_| {}),
        Err(InvalidRow::Unreadable { column }) if column == "payload"
    ));
}

#[test]
fn a_message_s_payload_keeps_its_bytes() {
    let content = r#"{"id" : "e1", "aggregatetype":"order","aggregateid":"4\u0032","type":"T","extra":1,
        "payload":{"b": 1.50,  "a":[ ]}}"#;
    let made = message(content, |_| {}).unwrap();
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
        message(&content, change).unwrap().value
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
    let made = message(content, |settings| {
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
        assert!(matches!(message(content, |_| {}), Err(InvalidRow::NoId)));
    }
    assert!(matches!(
        message(r#"{"id":"1"}"#, |_| {}),
        Err(InvalidRow::NoRoute)
    ));
    let content = r#"{"id":"1","aggregatetype":"a"}"#;
    let placed = |settings: &mut OutboxSettings| place(settings, &["tenant:header"]);
    assert!(matches!(
        message(content, placed),
        Err(InvalidRow::MissingMember { name }) if name == "tenant"
    ));
    let lenient = |settings: &mut OutboxSettings| {
        placed(settings);
        settings.missing_placement = MissingPlacement::Ignore;
    };
    assert_eq!(message(content, lenient).unwrap().headers.len(), 1);
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
