//! `recover replay --missed`: what an endpoint missed while it was disabled, from where it stands in Kafka.

use std::time::Duration;

use cdc_event::Sequence;
use cdc_kafka::{
    HeaderRef, KafkaOptions, Limits, OrderedProducer, OutgoingRecord, Partition, TimestampMillis,
};
use serde_json::{Value, json};

use super::{Seen, seen_in};
use crate::binary::Ended;
use crate::database::TestDatabase;
use crate::kafka_tools::ConfiguredTopic;
use crate::services;

const REPLAY: [&str; 5] = ["recover", "replay", "--missed", "--endpoint", "billing"];

/// A topic with two partitions, the retry entry of the group `mail` for it, and the endpoints `billing` and `other`.
struct Setup {
    database: TestDatabase,
    source: ConfiguredTopic,
    entry: ConfiguredTopic,
}

impl Setup {
    /// Each partition has these events, `e0-0` and so on.
    async fn with(events: [usize; 2]) -> Self {
        let database = TestDatabase::create().await;
        database.run(&["init"]).await.succeeded();
        let name = format!("{}.orders", database.name);
        let source = ConfiguredTopic::create(&name, &[]).await;
        let entry = ConfiguredTopic::create(&format!("{name}.mail.retry-1"), &[]).await;
        database
            .execute(
                "INSERT INTO cdc.endpoint (id, url)
                 VALUES ('billing', 'https://example.com/'), ('other', 'https://example.com/')",
            )
            .await;
        let setup = Self {
            database,
            source,
            entry,
        };
        setup.produce(events).await;
        setup
    }

    async fn produce(&self, events: [usize; 2]) {
        let kafka = KafkaOptions::new(services::kafka_brokers());
        let producer = OrderedProducer::new(&kafka, Limits::default()).unwrap();
        let mut sequence = 0;
        for (partition, count) in (0_i32..).zip(events) {
            for offset in 0..count {
                let id = format!("e{partition}-{offset}");
                let record = OutgoingRecord {
                    topic: &self.source.name,
                    partition: Some(Partition(partition)),
                    key: Some(b"42"),
                    value: Some(id.as_bytes()),
                    headers: &[
                        HeaderRef {
                            name: "id",
                            value: Some(id.as_bytes()),
                        },
                        HeaderRef {
                            name: "null",
                            value: None,
                        },
                    ],
                    timestamp: Some(TimestampMillis(1_700_000_000_123)),
                };
                producer.try_send(record, Sequence::new(sequence)).unwrap();
                sequence += 1;
            }
        }
        let mut deliveries = Vec::new();
        while (deliveries.len() as u64) < sequence {
            tokio::time::timeout(Duration::from_secs(30), producer.delivered())
                .await
                .unwrap();
            producer.take_deliveries(&mut deliveries);
        }
        assert!(deliveries.iter().all(|delivery| delivery.result.is_ok()));
    }

    /// Notes that an endpoint missed an event, of which the record is said to be there.
    async fn missed(&self, endpoint: &str, event: &str, topic: &str, partition: i32, offset: i64) {
        self.database
            .execute(&format!(
                "INSERT INTO cdc.delivery (event_id, endpoint_id, state, code, origin, at_most_once)
                 VALUES ('{event}', '{endpoint}', 'missed', 'endpoint-disabled',
                         '{topic}[{partition}]@{offset}', false)"
            ))
            .await;
    }

    /// Notes that an endpoint missed these records of a partition.
    async fn missed_all(&self, endpoint: &str, partition: i32, offsets: &[i64]) {
        for offset in offsets {
            let event = format!("e{partition}-{offset}");
            self.missed(endpoint, &event, &self.source.name, partition, *offset)
                .await;
        }
    }

    async fn run(&self, arguments: &[&str]) -> Ended {
        let topics = [self.source.name.as_str(), &self.other()].join(",");
        let settings = [
            ("CDC_NOTIFY__TOPICS", topics.as_str()),
            ("CDC_NOTIFY__GROUP", "mail"),
            ("CDC_NOTIFY__CACHE_EXPIRY", "0s"),
        ];
        self.database.run_with(arguments, &settings).await
    }

    async fn replay(&self, more: &[&str]) -> Ended {
        self.run(&[&REPLAY, more].concat()).await
    }

    /// The name of a topic that does not exist.
    fn other(&self) -> String {
        format!("{}.bills", self.database.name)
    }

    async fn seen(&self) -> Vec<Seen> {
        seen_in(&self.entry.name).await
    }

    /// What the retry entry has, by the values of the records.
    async fn sent(&self) -> Vec<String> {
        let seen = self.seen().await.into_iter();
        seen.map(|seen| String::from_utf8(seen.value.unwrap()).unwrap())
            .collect()
    }

    /// How many deliveries to an endpoint are in a state.
    async fn count(&self, endpoint: &str, state: &str) -> String {
        let sql = format!(
            "SELECT count(*) FROM cdc.delivery WHERE endpoint_id = '{endpoint}' AND state = '{state}'"
        );
        self.database.text(&sql).await.unwrap()
    }
}

#[tokio::test]
async fn goes_to_the_endpoint_that_missed_it_once_and_in_the_order_of_its_topic() {
    let setup = Setup::with([12, 3]).await;
    setup.missed_all("billing", 0, &[10, 9, 2]).await;
    setup.missed_all("billing", 1, &[1]).await;
    setup.missed_all("other", 0, &[2, 3]).await;
    let planned = setup.replay(&["--dry-run"]).await.succeeded();
    assert_eq!(planned, "4 events would be sent to billing\n");
    assert_eq!(setup.seen().await, []);

    let told = setup.replay(&[]).await.succeeded();
    assert_eq!(told, "4 events sent to billing\n");
    let again = setup.replay(&[]).await.succeeded();
    assert_eq!(again, "0 events sent to billing\n");
    assert_eq!(setup.sent().await, ["e0-2", "e0-9", "e0-10", "e1-1"]);
    assert_eq!(setup.count("billing", "retrying").await, "4");
    assert_eq!(setup.count("other", "missed").await, "2");

    let seen = setup.seen().await;
    let first = &seen[0];
    assert_eq!(first.key.as_deref(), Some(&b"42"[..]));
    assert_eq!(
        first.headers[..2],
        [
            ("id".to_owned(), Some(b"e0-2".to_vec())),
            ("null".to_owned(), None)
        ]
    );
    assert_eq!(first.header("cdc-part"), b"billing");
    assert_eq!(first.header("cdc-group"), b"mail");
    assert_eq!(
        first.header("cdc-origin-topic"),
        setup.source.name.as_bytes()
    );
    assert_eq!(first.origin_offset(), 2);
    // It has not failed: all delays between attempts are before it.
    assert_eq!(first.header("cdc-attempts"), 2_i32.to_be_bytes());
    assert_eq!(first.header("cdc-waited-delays"), 0_i32.to_be_bytes());
}

#[tokio::test]
async fn what_kafka_no_longer_has_is_told_and_the_rest_is_sent() {
    let setup = Setup::with([4, 0]).await;
    setup.missed_all("billing", 0, &[0, 3, 4, 7]).await;
    setup.missed_all("billing", 1, &[0]).await;
    // The topic has been made anew since.
    let topic = &setup.source.name;
    setup.missed("billing", "before", topic, 0, 1).await;
    setup.missed("billing", "x", topic, 2, 0).await;
    setup.missed("billing", "y", &setup.other(), 0, 5).await;
    setup.missed("billing", "z", "not-notified", 0, 5).await;
    setup
        .database
        .execute(
            "INSERT INTO cdc.delivery (event_id, endpoint_id, state, code, at_most_once)
             VALUES ('nowhere', 'billing', 'missed', 'endpoint-disabled', false)",
        )
        .await;
    let planned = setup.replay(&["--dry-run"]).await.succeeded();
    assert!(planned.contains("2 events would be sent"), "{planned}");
    let ended = setup.replay(&[]).await;
    for told in [
        "2 events sent to billing".to_owned(),
        format!(
            "3 events of {topic}[0], offsets 1 to 7, not sent: Kafka no longer has the records"
        ),
        format!("1 event of {topic}[1], offsets 0 to 0, not sent: Kafka no longer has"),
        format!("1 event of {topic}[2], offsets 0 to 0, not sent: Kafka no longer has"),
        format!(
            "1 event of {}[0], offsets 5 to 5, not sent: the topic does not exist",
            setup.other()
        ),
        "1 event of not-notified[0], offsets 5 to 5, not sent: the topic is none of".to_owned(),
        "1 event not sent: it is not known where".to_owned(),
    ] {
        assert!(ended.stdout.contains(&told), "{told}: {ended:?}");
    }
    let report = ended.failed(69, "CDC0061");
    assert!(report.contains("8 events not sent to billing"), "{report}");
    assert_eq!(setup.sent().await, ["e0-0", "e0-3"]);

    let ended = setup.replay(&["--json"]).await;
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (&told["events"], &told["untouched"]),
        (&json!(0), &json!(0))
    );
    let of_source = json!({
        "topic": topic, "partition": 0, "first_offset": 1, "last_offset": 7, "events": 3, "code": null,
        "reason": "Kafka no longer has the records",
    });
    let left = told["left"].as_array().unwrap();
    assert!(left.len() == 6 && left.contains(&of_source), "{told}");
    ended.failed(69, "CDC0061");
    assert_eq!(setup.count("billing", "missed").await, "8");
}

#[tokio::test]
async fn sends_no_more_than_asked_and_the_rest_the_next_time() {
    let setup = Setup::with([5, 0]).await;
    setup.missed_all("billing", 0, &[0, 1, 2, 3, 4]).await;
    // What cannot be sent does not stand in the way.
    setup
        .missed("billing", "before", &setup.source.name, 0, 0)
        .await;
    let arguments = ["--limit", "2", "--rate", "10/s"];
    setup.replay(&arguments).await.failed(69, "CDC0061");
    assert_eq!(setup.sent().await, ["e0-0", "e0-1"]);
    let chosen = ["--newer-than", "1h", "--topic", &setup.source.name];
    setup.replay(&chosen).await.failed(69, "CDC0061");
    assert_eq!(setup.sent().await, ["e0-0", "e0-1", "e0-2", "e0-3", "e0-4"]);
    let old = setup.replay(&["--older-than", "1h"]).await.succeeded();
    assert_eq!(old, "0 events sent to billing\n");
}

#[tokio::test]
async fn enabling_tells_the_command_which_a_disabled_or_unknown_endpoint_is_refused() {
    let setup = Setup::with([1, 0]).await;
    setup.missed_all("billing", 0, &[0]).await;
    let disable = ["endpoint", "disable", "billing", "--reason", "moves"];
    setup.run(&disable).await.succeeded();
    let report = setup.replay(&[]).await.failed(69, "CDC0070");
    for part in ["disabled (moves)", "cdc-relay endpoint enable billing"] {
        assert!(report.contains(part), "{part}: {report}");
    }
    let nobody = ["recover", "replay", "--missed", "--endpoint", "nobody"];
    let report = setup.run(&nobody).await.failed(69, "CDC0070");
    assert!(report.contains("cdc-relay endpoint list"), "{report}");
    let control = ["recover", "replay", "--missed", "--endpoint", "a\tb"];
    setup.run(&control).await.failed(64, "CDC0005");
    for more in [
        &["17"][..],
        &["--all"],
        &["--group", "mail"],
        &["--key", "k"],
        &["--code", "CDC0043"],
        &["--fingerprint", "f"],
        &["--payload-file", "x"],
    ] {
        let refused = setup.replay(more).await;
        assert_eq!(refused.status, 64, "{refused:?}");
        assert!(refused.stderr.contains("--missed"), "{refused:?}");
    }
    let alone = setup.run(&["recover", "replay", "--missed"]).await;
    assert!(
        alone.status == 64 && alone.stderr.contains("--endpoint"),
        "{alone:?}"
    );
    assert_eq!(setup.seen().await, []);

    let told = setup.run(&["endpoint", "enable", "billing"]).await;
    let told = told.succeeded();
    assert!(
        told.contains("it missed 1 event while it was disabled"),
        "{told}"
    );
    let command = told
        .lines()
        .find_map(|line| line.trim().strip_prefix("cdc-relay "));
    let words: Vec<_> = command.unwrap().split(' ').collect();
    assert_eq!(words, REPLAY);
    setup.run(&words).await.succeeded();
    assert_eq!(setup.sent().await, ["e0-0"]);
}
