//! Dead letters of other systems.

use cdc_event::{Headers, KafkaPosition};
use failure_headers::{DeadLetter, Family, read_dead_letter};

use crate::records::{headers, own};

const PARTITION: [u8; 4] = 2_i32.to_be_bytes();
const OFFSET: [u8; 8] = 7_i64.to_be_bytes();
const TIMESTAMP: [u8; 8] = 1_700_000_000_123_i64.to_be_bytes();

/// The dead letter of a record with our [`own`] headers, to which `added` was added.
fn read(added: &[(&str, &[u8])]) -> DeadLetter {
    let mut all = own();
    for (name, value) in added {
        all.push(*name, Some(value.to_vec()));
    }
    let letter = read_dead_letter(&all);
    assert_eq!(letter.own, own(), "what a record had of its own stays");
    letter
}

fn origin() -> Option<KafkaPosition> {
    Some(KafkaPosition {
        topic: "orders".into(),
        partition: 2,
        offset: 7,
    })
}

fn assert_error(letter: &DeadLetter, code: &str, message: &str) {
    let report = letter.report.as_ref().unwrap();
    assert_eq!(
        (report.code.as_str(), report.message.as_str()),
        (code, message)
    );
}

#[test]
fn of_spring_kafka() {
    let stack = b"org.springframework.E: wrapped\n\tat x\nCaused by: java.lang.IllegalStateException: no\n\tat y\n";
    let letter = read(&[
        ("kafka_dlt-original-topic", b"orders"),
        ("kafka_dlt-original-partition", &PARTITION),
        ("kafka_dlt-original-offset", &OFFSET),
        ("kafka_dlt-original-timestamp", &TIMESTAMP),
        ("kafka_dlt-original-timestamp-type", b"CreateTime"),
        ("kafka_dlt-original-consumer-group", b"billing"),
        ("kafka_dlt-exception-fqcn", b"org.springframework.E"),
        (
            "kafka_dlt-exception-cause-fqcn",
            b"java.lang.IllegalStateException",
        ),
        ("kafka_dlt-exception-message", b"wrapped"),
        ("kafka_dlt-exception-stacktrace", stack),
    ]);
    assert_eq!(letter.family, Some(Family::Spring));
    assert_eq!(letter.origin, origin());
    assert_eq!(letter.group.as_deref(), Some("billing"));
    assert_eq!(letter.original_timestamp_ms, Some(1_700_000_000_123));
    assert_error(&letter, "java.lang.IllegalStateException", "wrapped");
    let report = letter.report.unwrap();
    assert_eq!(report.chain, ["java.lang.IllegalStateException: no"]);
    assert_eq!(report.backtrace.unwrap().as_bytes(), stack);
}

#[test]
fn of_spring_kafka_after_retry_topics() {
    let letter = read(&[
        ("kafka_original-topic", b"orders"),
        ("kafka_original-partition", &PARTITION),
        ("kafka_original-offset", &OFFSET),
        ("kafka_original-timestamp", &TIMESTAMP),
        ("kafka_dlt-original-consumer-group", b"billing"),
        ("kafka_dlt-original-topic", b"orders-retry-1000"),
        ("kafka_exception-fqcn", b"a.B"),
        ("kafka_exception-message", b"no"),
        ("retry_topic-attempts", &2_i32.to_be_bytes()),
        ("retry_topic-attempts", &4_i32.to_be_bytes()),
        ("retry_topic-original-timestamp", &TIMESTAMP[2..]),
        ("retry_topic-backoff-timestamp", &TIMESTAMP[2..]),
    ]);
    assert_eq!(letter.origin, origin());
    assert_eq!(letter.attempts.unwrap().get(), 3);
    assert_error(&letter, "a.B", "no");
}

#[test]
fn of_kafka_connect() {
    let letter = read(&[
        ("__connect.errors.topic", b"orders"),
        ("__connect.errors.partition", b"2"),
        ("__connect.errors.offset", b"7"),
        ("__connect.errors.connector.name", b"sink"),
        ("__connect.errors.task.id", b"0"),
        ("__connect.errors.stage", b"VALUE_CONVERTER"),
        ("__connect.errors.class.name", b"a.Converter"),
        ("__connect.errors.exception.class.name", b"a.DataException"),
        ("__connect.errors.exception.message", b"no schema"),
        (
            "__connect.errors.exception.stacktrace",
            b"a.DataException: no schema\nCaused by: b.C\n",
        ),
    ]);
    assert_eq!(
        (letter.family, letter.origin.clone()),
        (Some(Family::Connect), origin())
    );
    assert_eq!(letter.group.as_deref(), Some("connect-sink"));
    assert_error(&letter, "a.DataException", "no schema");
    assert_eq!(letter.report.unwrap().chain, ["b.C"]);
}

#[test]
fn of_kafka_streams() {
    let letter = read(&[
        ("__streams.errors.exception", b"a.E"),
        ("__streams.errors.stacktrace", b"a.E\n"),
        ("__streams.errors.message", b"no"),
        ("__streams.errors.topic", b"orders"),
        ("__streams.errors.partition", b"2"),
        ("__streams.errors.offset", b"7"),
    ]);
    assert_eq!(
        (letter.family, letter.origin.clone()),
        (Some(Family::Streams), origin())
    );
    assert_error(&letter, "a.E", "no");
}

#[test]
fn of_share_groups() {
    let letter = read(&[
        ("__dlq.errors.topic", b"orders"),
        ("__dlq.errors.partition", b"2"),
        ("__dlq.errors.offset", b"7"),
        ("__dlq.errors.group", b"billing"),
        ("__dlq.errors.delivery.count", b"5"),
        ("__dlq.errors.message", b"rejected"),
    ]);
    assert_eq!(
        (letter.family, letter.origin.clone()),
        (Some(Family::ShareGroup), origin())
    );
    assert_eq!(letter.group.as_deref(), Some("billing"));
    assert_eq!(letter.attempts.unwrap().get(), 5);
    assert_error(&letter, "unknown", "rejected");
}

#[test]
fn of_smallrye() {
    let letter = read(&[
        ("dead-letter-exception-class-name", b"a.E"),
        ("dead-letter-reason", b"no"),
        ("dead-letter-cause", b"because"),
        ("dead-letter-cause-class-name", b"a.C"),
        ("dead-letter-topic", b"orders"),
        ("dead-letter-partition", b"2"),
        ("dead-letter-offset", b"7"),
    ]);
    assert_eq!(
        (letter.family, letter.origin.clone()),
        (Some(Family::SmallRye), origin())
    );
    assert_error(&letter, "a.E", "no");
    assert_eq!(letter.report.unwrap().chain, ["because"]);

    let letter = read(&[
        ("delayed-retry-count", b"2"),
        ("delayed-retry-reason", b"no"),
        ("delayed-retry-topic", b"orders"),
        ("delayed-retry-partition", b"2"),
        ("delayed-retry-offset", b"7"),
    ]);
    assert_eq!(
        (letter.attempts.unwrap().get(), letter.origin),
        (3, origin())
    );
}

#[test]
fn of_karafka_if_all_three_names_are_there() {
    let letter = read(&[
        ("source_topic", b"orders"),
        ("source_partition", b"2"),
        ("source_offset", b"7"),
        ("source_consumer_group", b"billing"),
        ("source_attempts", b"4"),
    ]);
    assert_eq!(
        (letter.family, letter.origin),
        (Some(Family::Karafka), origin())
    );
    assert_eq!(letter.attempts.unwrap().get(), 4);

    let application = headers(&[("source_topic", Some(b"news")), ("source_offset", None)]);
    let letter = read_dead_letter(&application);
    assert_eq!((letter.family, letter.own), (None, application));
}

#[test]
fn of_dekaf_and_mass_transit() {
    let letter = read(&[
        ("dlq.source.topic", b"orders"),
        ("dlq.source.partition", b"2"),
        ("dlq.source.offset", b"7"),
        ("dlq.failure.count", b"3"),
        ("dlq.error.message", b"no"),
        ("dlq.error.type", b"A.B"),
    ]);
    assert_eq!(
        (letter.family, letter.origin.clone()),
        (Some(Family::Dekaf), origin())
    );
    assert_eq!(letter.attempts.unwrap().get(), 3);
    assert_error(&letter, "A.B", "no");

    let letter = read(&[
        ("MT-Fault-ExceptionType", b"A.B"),
        ("MT-Fault-Message", b"no"),
        ("MT-Fault-StackTrace", b"at x"),
    ]);
    assert_eq!(
        (letter.family, letter.origin.clone()),
        (Some(Family::MassTransit), None)
    );
    assert_error(&letter, "A.B", "no");
}

#[test]
fn of_nobody_are_taken_as_they_are() {
    let letter = read_dead_letter(&own());
    assert_eq!((letter.family, letter.report), (None, None));
    assert_eq!(letter.own, own());
    assert_eq!(read_dead_letter(&Headers::new()).own, Headers::new());
}

#[test]
fn ours_count_before_those_that_a_record_already_had() {
    let added: [(&str, &[u8]); 4] = [
        ("__streams.errors.topic", b"elsewhere"),
        ("cdc-error-code", b"x"),
        ("kafka_dlt-exception-fqcn", b"x"),
        ("kafka_dlt-original-topic", b"orders"),
    ];
    let mut all = Headers::new();
    for (name, value) in added {
        all.push(name, Some(value.to_vec()));
    }
    let letter = read_dead_letter(&all);
    assert_eq!(letter.family, Some(Family::Ours));
    let names: Vec<_> = letter
        .own
        .as_slice()
        .iter()
        .map(|header| &header.name)
        .collect();
    assert_eq!(names, ["__streams.errors.topic"]);
}

#[test]
fn of_spring_kafka_after_a_replay_of_ours_are_still_the_same_event() {
    let failing = crate::records::Failing::new();
    let replayed = failure_headers::retry(&own(), &failing.failed(), None);
    let mut all = replayed.clone();
    let added: [(&str, &[u8]); 6] = [
        ("kafka_dlt-original-topic", b"orders.billing.retry-1"),
        ("kafka_dlt-original-partition", &PARTITION),
        ("kafka_dlt-original-offset", &OFFSET),
        ("kafka_dlt-original-consumer-group", b"billing"),
        ("kafka_dlt-exception-fqcn", b"a.B"),
        ("kafka_dlt-exception-message", b"no"),
    ];
    for (name, value) in added {
        all.push(name, Some(value.to_vec()));
    }
    let letter = read_dead_letter(&all);
    assert_eq!(letter.family, Some(Family::Spring));
    assert_eq!(
        (letter.own.clone(), letter.origin.clone()),
        (own(), Some(failing.origin))
    );
    assert_eq!(
        (letter.part.clone(), letter.failed_event),
        (failing.part, Some(17))
    );
    assert_eq!(letter.attempts.unwrap().get(), 4);
    assert_error(&letter, "a.B", "no");
}
