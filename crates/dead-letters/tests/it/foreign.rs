//! Dead letters of others are stored as far as they are understood.

use cdc_event::{Headers, KafkaPosition};
use cdc_store::{FailedEvent, Origin};

use crate::database::Database;
use crate::letters::{Running, own, record};

const PARTITION: &[u8] = &2_i32.to_be_bytes();
const OFFSET: &[u8] = &7_i64.to_be_bytes();

async fn stored(added: &[(&str, &[u8])]) -> FailedEvent {
    let database = Database::create().await;
    let running = Running::start(&database);
    let mut headers = own();
    for (name, value) in added {
        headers.push(*name, Some(value.to_vec()));
    }
    running.store(&record(5, headers)).await.unwrap();
    let details = database.events().await.remove(0);
    assert_eq!(details.contents.headers, own());
    details.event
}

fn origin(group: &str, topic: &str, offset: i64) -> Origin {
    Origin::Consumer {
        group: group.into(),
        record: KafkaPosition {
            topic: topic.into(),
            partition: 2,
            offset,
        },
        part: None,
    }
}

#[tokio::test]
async fn of_spring_kafka_with_all_of_it() {
    let event = stored(&[
        ("kafka_dlt-original-topic", b"orders"),
        ("kafka_dlt-original-partition", PARTITION),
        ("kafka_dlt-original-offset", OFFSET),
        ("kafka_dlt-original-consumer-group", b"shipping"),
        ("kafka_dlt-exception-fqcn", b"a.B"),
        ("kafka_dlt-exception-message", b"no"),
    ])
    .await;
    assert_eq!(event.origin, origin("shipping", "orders", 7));
    assert_eq!((event.error.code(), event.error.message()), ("a.B", "no"));
    assert_eq!(event.target, None, "nobody said where shipping retries");
}

#[tokio::test]
async fn of_connect_and_streams_and_share_groups() {
    let connect = stored(&[
        ("__connect.errors.topic", b"orders"),
        ("__connect.errors.partition", b"2"),
        ("__connect.errors.offset", b"7"),
        ("__connect.errors.connector.name", b"sink"),
        ("__connect.errors.exception.class.name", b"a.B"),
    ])
    .await;
    assert_eq!(connect.origin, origin("connect-sink", "orders", 7));
    let streams = stored(&[
        ("__streams.errors.topic", b"orders"),
        ("__streams.errors.partition", b"2"),
        ("__streams.errors.offset", b"7"),
        ("__streams.errors.exception", b"a.B"),
    ])
    .await;
    assert_eq!(streams.origin, origin("billing", "orders", 7));
    let target = streams.target.unwrap();
    assert_eq!(target.topic, "orders.billing.retry-1");
    let shared = stored(&[
        ("__dlq.errors.topic", b"orders"),
        ("__dlq.errors.partition", b"2"),
        ("__dlq.errors.offset", b"7"),
        ("__dlq.errors.group", b"shipping"),
        ("__dlq.errors.delivery.count", b"5"),
    ])
    .await;
    assert_eq!(shared.origin, origin("shipping", "orders", 7));
    assert_eq!((shared.attempts, shared.error.code()), (5, "unknown"));
}

#[tokio::test]
async fn of_nobody_known_are_events_where_they_were_read() {
    let event = stored(&[]).await;
    assert_eq!(event.origin, origin("billing", "orders.billing.DLT", 5));
    assert_eq!((event.target, event.attempts), (None, 1));
    assert_eq!(event.error.code(), "unknown");
}

#[tokio::test]
async fn a_replayed_event_that_lost_its_origin_is_known_by_its_number() {
    let database = Database::create().await;
    let running = Running::start(&database);
    running
        .store(&crate::letters::letter(0, 17, 4))
        .await
        .unwrap();
    let id = database.events().await[0].event.id.get();
    let mut headers = Headers::new();
    headers.push("cdc-failed-event", Some(id.to_be_bytes().to_vec()));
    running.store(&record(1, headers.clone())).await.unwrap();
    let events = database.events().await;
    assert_eq!((events.len(), events[0].event.attempts), (1, 5));

    // But never one of another group, whatever a header says.
    headers.push("cdc-group", Some(b"shipping".to_vec()));
    running.store(&record(2, headers)).await.unwrap();
    assert_eq!(database.events().await.len(), 2);
}

#[tokio::test]
async fn headers_that_make_no_sense_stop_nothing() {
    let long = vec![b'x'; 100_000];
    let event = stored(&[
        ("kafka_dlt-original-topic", &long),
        ("kafka_dlt-original-partition", b"no number"),
        ("kafka_dlt-original-offset", &[0xff; 8]),
        ("kafka_dlt-original-consumer-group", &long),
        ("kafka_dlt-exception-fqcn", b"a\0b"),
        ("kafka_dlt-exception-message", &[0xff, 0xfe, 0]),
        ("kafka_dlt-exception-stacktrace", &long),
        ("cdc-attempts", &i32::MIN.to_be_bytes()),
        ("cdc-first-failure", &[0x7f; 8]),
        ("cdc-failed-event", &i64::MAX.to_be_bytes()),
    ])
    .await;
    assert_eq!(event.origin, origin("billing", "orders.billing.DLT", 5));
    assert_eq!(event.error.code(), "a\u{fffd}b");
}
