mod headers;
mod message;

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

fn made_of_message(
    content: &str,
    change: impl FnOnce(&mut OutboxSettings),
) -> Result<Made, InvalidRow> {
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
