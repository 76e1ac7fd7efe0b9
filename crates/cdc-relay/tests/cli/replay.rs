//! `recover replay` of what a consumer group failed at: to that group alone, each event once, in order.

mod missed;

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cdc_event::{EventId, Headers, KafkaPosition};
use cdc_kafka::{KafkaOptions, scan};
use cdc_store::{Contents, ErrorReport, FailedEvents, NewFailedEvent, Origin, Target};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::database::{TestDatabase, options};
use crate::kafka_tools::ConfiguredTopic;
use crate::services;

/// A record of a retry entry.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    partition: i32,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Seen {
    fn header(&self, name: &str) -> &[u8] {
        let (_, value) = self.headers.iter().find(|(own, _)| own == name).unwrap();
        value.as_deref().unwrap()
    }

    /// The offset at which its event was first read.
    fn origin_offset(&self) -> i64 {
        i64::from_be_bytes(self.header("cdc-origin-offset").try_into().unwrap())
    }
}

/// A store of what the group `billing` failed at in `orders`, and its retry entry with two partitions.
struct Setup {
    database: TestDatabase,
    entry: ConfiguredTopic,
}

impl Setup {
    /// Events of these partitions and offsets, numbered from 1.
    async fn with(places: &[(i32, i64)]) -> Self {
        let database = TestDatabase::create().await;
        database.run(&["init"]).await.succeeded();
        let entry = format!("{}.orders.billing.retry-1", database.name);
        let entry = ConfiguredTopic::create(&entry, &[]).await;
        let setup = Self { database, entry };
        let events: Vec<_> = places
            .iter()
            .map(|(partition, offset)| setup.event("billing", *partition, *offset))
            .collect();
        let mut store = FailedEvents::connect(&options(&setup.database.url())).await;
        let store = store.as_mut().unwrap();
        for event in events {
            store.record(&[event]).await.unwrap();
        }
        setup
    }

    fn event(&self, group: &str, partition: i32, offset: i64) -> NewFailedEvent {
        let mut headers = Headers::new();
        headers.push("id", Some(format!("e{offset}").into_bytes()));
        headers.push("null", None);
        NewFailedEvent {
            origin: Origin::Consumer {
                group: group.into(),
                record: KafkaPosition {
                    topic: format!("{}.orders", self.database.name),
                    partition,
                    offset,
                },
                part: None,
            },
            event_id: Some(EventId::new(format!("e{offset}")).unwrap()),
            target: Some(Target {
                topic: self.entry.name.clone(),
                partition: Some(partition),
            }),
            contents: Contents {
                key: Some(b"42".to_vec()),
                payload: Some(format!("{{\"n\":{offset}}}").into_bytes()),
                headers,
                timestamp_ms: Some(1_700_000_000_123),
            },
            error: ErrorReport::new("webhook-status", "the endpoint answered 500", []),
            attempts: NonZeroU32::new(3).unwrap(),
            first_failed_at: None,
            dead_letter: None,
        }
    }

    /// Everything that the retry entry has, by partition and offset.
    async fn seen(&self) -> Vec<Seen> {
        seen_in(&self.entry.name).await
    }

    async fn statuses(&self) -> String {
        let sql = "SELECT string_agg(status, ' ' ORDER BY id) FROM cdc.failed_event";
        self.database.text(sql).await.unwrap()
    }
}

/// Everything that a topic has, by partition and offset.
async fn seen_in(topic: &str) -> Vec<Seen> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&seen);
    let kafka = KafkaOptions::new(services::kafka_brokers());
    let topics = [topic.to_owned()];
    scan(&kafka, &topics, CancellationToken::new(), move |record| {
        let headers = record.headers();
        into.lock().unwrap().push(Seen {
            partition: record.partition().0,
            key: record.key().map(<[u8]>::to_vec),
            value: record.value().map(<[u8]>::to_vec),
            headers: headers
                .map(|header| (header.name.to_owned(), header.value.map(<[u8]>::to_vec)))
                .collect(),
        });
    })
    .await
    .unwrap();
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    seen.sort_by_key(|seen| seen.partition);
    seen
}

#[tokio::test]
async fn sends_what_a_group_failed_at_to_its_retry_entry_in_the_order_of_its_source() {
    let setup = Setup::with(&[(0, 9), (1, 4), (0, 3), (0, 7)]).await;
    let mut other = setup.event("mail", 0, 5);
    other.target = None;
    let mut store = FailedEvents::connect(&options(&setup.database.url()))
        .await
        .unwrap();
    store.record(&[other]).await.unwrap();
    let topic = format!("{}.orders", setup.database.name);
    let arguments = ["recover", "replay", "--topic", &topic, "--group", "billing"];
    let planned = setup
        .database
        .run(&[&arguments[..], &["--dry-run"]].concat())
        .await
        .succeeded();
    assert!(planned.contains("4 events would be replayed"), "{planned}");
    assert_eq!(setup.seen().await, []);

    let told = setup.database.run(&arguments).await.succeeded();
    assert!(told.contains("4 events replayed"), "{told}");
    let seen = setup.seen().await;
    let places: Vec<_> = seen
        .iter()
        .map(|seen| (seen.partition, seen.origin_offset()))
        .collect();
    assert_eq!(places, [(0, 3), (0, 7), (0, 9), (1, 4)]);
    let first = &seen[0];
    assert_eq!(first.key.as_deref(), Some(&b"42"[..]));
    assert_eq!(first.value.as_deref(), Some(&b"{\"n\":3}"[..]));
    assert_eq!(
        first.headers[..2],
        [
            ("id".to_owned(), Some(b"e3".to_vec())),
            ("null".to_owned(), None)
        ]
    );
    assert_eq!(first.header("cdc-failed-event"), 3_i64.to_be_bytes());
    assert_eq!(first.header("cdc-attempts"), 3_i32.to_be_bytes());
    assert_eq!(first.header("cdc-group"), b"billing");
    assert_eq!(first.header("cdc-origin-topic"), topic.as_bytes());
    assert_eq!(
        setup.statuses().await,
        "replayed replayed replayed replayed open"
    );
}

#[tokio::test]
async fn a_retry_entry_with_fewer_partitions_still_has_a_key_in_one_place() {
    let setup = Setup::with(&[(5, 1), (7, 2), (4, 3)]).await;
    setup
        .database
        .run(&["recover", "replay", "--all"])
        .await
        .succeeded();
    let places: Vec<_> = setup
        .seen()
        .await
        .iter()
        .map(|seen| (seen.partition, seen.origin_offset()))
        .collect();
    assert_eq!(places, [(0, 3), (1, 1), (1, 2)]);
}

#[tokio::test]
async fn two_operators_at_once_send_an_event_once() {
    let places: Vec<_> = (0..40).map(|offset| (0, offset)).collect();
    let setup = Setup::with(&places).await;
    let replay = || setup.database.run(&["recover", "replay", "--all"]);
    let ended = tokio::join!(replay(), replay(), replay());
    // Whoever comes second may find some of his chosen events taken: that is told, and no failure of the events.
    for ended in [ended.0, ended.1, ended.2] {
        assert!(ended.stdout.contains("replayed"), "{ended:?}");
    }
    let offsets: Vec<_> = setup.seen().await.iter().map(Seen::origin_offset).collect();
    let mut once = offsets.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!((offsets.len(), once.len()), (40, 40));
}

#[tokio::test]
async fn a_replay_that_was_killed_after_sending_is_repeated_with_the_same_number() {
    let setup = Setup::with(&[(0, 1)]).await;
    setup
        .database
        .run(&["recover", "replay", "1"])
        .await
        .succeeded();
    // What it would have left behind, had it been killed before it recorded that; its hold has ended.
    let killed =
        "UPDATE cdc.failed_event SET status = 'replaying', lease_token = gen_random_uuid(),
                         lease_until = now() - interval '1 second'";
    setup.database.execute(killed).await;
    setup
        .database
        .run(&["recover", "replay", "--all"])
        .await
        .succeeded();
    let seen = setup.seen().await;
    assert_eq!(seen.len(), 2);
    let number = |seen: &Seen| seen.header("cdc-failed-event").to_vec();
    assert_eq!(number(&seen[0]), number(&seen[1]));
    assert_eq!(seen[0].header("id"), seen[1].header("id"));
    assert_eq!(setup.statuses().await, "replayed");
}

#[tokio::test]
async fn sends_no_more_and_no_faster_than_asked_and_the_rest_the_next_time() {
    let places: Vec<_> = (0..10).map(|offset| (0, offset)).collect();
    let setup = Setup::with(&places).await;
    let began = Instant::now();
    let told = setup
        .database
        .run(&[
            "recover", "replay", "--all", "--limit", "5", "--rate", "5/s",
        ])
        .await
        .succeeded();
    assert!(told.contains("5 events replayed"), "{told}");
    assert!(began.elapsed() >= Duration::from_millis(800), "{began:?}");
    let offsets: Vec<_> = setup.seen().await.iter().map(Seen::origin_offset).collect();
    assert_eq!(offsets, [0, 1, 2, 3, 4]);

    let told = setup
        .database
        .run(&["recover", "replay", "--all"])
        .await
        .succeeded();
    assert!(told.contains("5 events replayed"), "{told}");
    let offsets: Vec<_> = setup.seen().await.iter().map(Seen::origin_offset).collect();
    assert_eq!(offsets, (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_corrected_payload_is_sent_and_the_old_one_is_kept_with_who_replaced_it() {
    let setup = Setup::with(&[(0, 1), (0, 2)]).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("corrected.json");
    std::fs::write(&file, "{\"n\":100}").unwrap();
    let file = file.to_str().unwrap();
    let two = ["recover", "replay", "--all", "--payload-file", file];
    let report = setup.database.run(&two).await.failed(64, "CDC0005");
    assert!(report.contains("a payload is for one event"), "{report}");
    let missing = ["recover", "replay", "1", "--payload-file", "/nowhere/x"];
    setup.database.run(&missing).await.failed(64, "CDC0005");
    let arguments = [
        "recover",
        "replay",
        "1",
        "--payload-file",
        file,
        "--by",
        "ann",
    ];
    let planned = [&arguments[..], &["--dry-run"]].concat();
    setup.database.run(&planned).await.succeeded();
    assert_eq!(
        (setup.seen().await, setup.statuses().await.as_str()),
        (Vec::new(), "open open")
    );

    setup.database.run(&arguments).await.succeeded();
    let seen = setup.seen().await;
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].value.as_deref(), Some(&b"{\"n\":100}"[..]));
    let shown = setup
        .database
        .run(&["recover", "show", "1", "--json"])
        .await
        .succeeded();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["payload"], "{\"n\":100}");
    let first = &shown["actions"][0];
    assert_eq!(
        (&first["by"], &first["replaced_payload"]),
        (&"ann".into(), &"{\"n\":1}".into())
    );
    let shown = setup
        .database
        .run(&["recover", "show", "1"])
        .await
        .succeeded();
    assert!(shown.contains("the payload was {\"n\":1}"), "{shown}");
}

#[tokio::test]
async fn creates_a_missing_retry_entry_with_the_partitions_of_its_source() {
    let setup = Setup::with(&[]).await;
    let name = |topic: &str| format!("{}.{topic}", setup.database.name);
    let source = ConfiguredTopic::create(&name("bills"), &[]).await;
    let mut event = setup.event("billing", 1, 1);
    let Origin::Consumer { record, .. } = &mut event.origin else {
        panic!("not of a consumer");
    };
    record.topic.clone_from(&source.name);
    let entry = name("bills.billing.retry-1");
    event.target.as_mut().unwrap().topic.clone_from(&entry);
    let mut store = FailedEvents::connect(&options(&setup.database.url()))
        .await
        .unwrap();
    store.record(&[event]).await.unwrap();
    setup
        .database
        .run(&["recover", "replay", "--all"])
        .await
        .succeeded();
    let kafka = KafkaOptions::new(services::kafka_brokers());
    let topics = cdc_kafka::Topics::new(kafka, Duration::from_secs(20));
    let found = topics.describe(std::slice::from_ref(&entry)).await.unwrap();
    let _deleted = ConfiguredTopic { name: entry };
    let [cdc_kafka::TopicInfo::Present { partitions, .. }] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(*partitions, 2);
}
