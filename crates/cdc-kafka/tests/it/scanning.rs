//! Every committed record of topics.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cdc_kafka::{
    Error, HeaderRef, KafkaOptions, Limits, OrderedProducer, OutgoingRecord, Partition,
    ScanSummary, TimestampMillis, scan,
};
use tokio_util::sync::CancellationToken;

use crate::setup::{Sender, TestTopic, brokers, record, soon, unique_name};
use crate::transmitter::{Transmitter, unique_id};

type Seen = (String, i32, i64, String);

fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8(bytes.unwrap().to_vec()).unwrap()
}

async fn scan_values(topics: &[String]) -> (Vec<Seen>, ScanSummary) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let options = KafkaOptions::new(brokers());
    let summary = scan(&options, topics, CancellationToken::new(), move |record| {
        sink.lock().unwrap().push((
            record.topic().to_owned(),
            record.partition().0,
            record.offset(),
            text(record.value()),
        ));
    });
    let summary = soon(summary).await.unwrap();
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    (seen, summary)
}

async fn fill(topic: &str, numbers: std::ops::Range<u32>) {
    let options = KafkaOptions::new(brokers());
    let mut sender = Sender::new(OrderedProducer::new(&options, Limits::default()).unwrap());
    for number in numbers {
        let value = number.to_string();
        sender
            .send(record(topic, value.as_bytes(), value.as_bytes()))
            .await;
    }
    sender.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn visits_every_record_of_every_topic_once_in_the_order_of_offsets() {
    const RECORDS: u32 = 30_000;
    let topics = [
        TestTopic::create("scan-a", 6).await,
        TestTopic::create("scan-b", 2).await,
        TestTopic::create("scan-empty", 3).await,
    ];
    fill(&topics[0].name, 0..RECORDS).await;
    fill(&topics[1].name, 0..10).await;
    let missing = unique_name("missing");
    let mut names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
    names.insert(1, missing.clone());

    let (seen, summary) = scan_values(&names).await;
    let expected = ScanSummary {
        records: u64::from(RECORDS) + 10,
        missing: vec![missing],
    };
    assert_eq!(summary, expected);
    for (topic, count) in [(&topics[0], RECORDS), (&topics[1], 10)] {
        let of_topic = seen.iter().filter(|(name, ..)| *name == topic.name);
        let mut numbers: Vec<u32> = of_topic.map(|(.., value)| value.parse().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..count).collect::<Vec<_>>());
    }
    let mut next = std::collections::HashMap::new();
    for (topic, partition, offset, _) in seen {
        let next = next.entry((topic, partition)).or_insert(0);
        assert_eq!(offset, *next);
        *next += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shows_what_was_committed_whatever_stands_between_and_behind() {
    let topic = TestTopic::create("scan-txn", 1).await;
    let mut sender = Transmitter::open(&unique_id()).await;
    for (value, commit) in [("a", true), ("b", false), ("c", true), ("d", false)] {
        sender.producer.begin().unwrap();
        for _ in 0..100 {
            sender
                .send(record(&topic.name, b"k", value.as_bytes()))
                .await;
        }
        sender.drain().await;
        if commit {
            soon(sender.producer.commit()).await.unwrap();
        } else {
            soon(sender.producer.abort()).await.unwrap();
        }
    }
    let (seen, summary) = scan_values(std::slice::from_ref(&topic.name)).await;
    assert_eq!(summary.records, 200);
    let values: String = seen.into_iter().map(|(.., value)| value).collect();
    assert_eq!(values, "a".repeat(100) + &"c".repeat(100));
}

#[tokio::test(flavor = "multi_thread")]
async fn shows_the_whole_record() {
    let topic = TestTopic::create("scan-bytes", 2).await;
    let headers = [
        HeaderRef {
            name: "id",
            value: Some(b"\x00\xff"),
        },
        HeaderRef {
            name: "null",
            value: None,
        },
    ];
    let full = OutgoingRecord {
        topic: &topic.name,
        partition: Some(Partition(1)),
        key: Some(b""),
        value: None,
        headers: &headers,
        timestamp: Some(TimestampMillis(1_700_000_000_123)),
    };
    let options = KafkaOptions::new(brokers());
    let mut sender = Sender::new(OrderedProducer::new(&options, Limits::default()).unwrap());
    sender.send(full).await;
    sender.drain().await;
    let topics = [topic.name.clone()];
    let summary = scan(&options, &topics, CancellationToken::new(), move |seen| {
        assert_eq!(seen.partition(), Partition(1));
        assert_eq!(seen.key(), Some(&b""[..]));
        assert_eq!(seen.value(), None);
        assert_eq!(seen.timestamp(), Some(TimestampMillis(1_700_000_000_123)));
        let shown: Vec<_> = seen.headers().collect();
        assert_eq!(shown[0].value, Some(&b"\x00\xff"[..]));
        assert_eq!((shown[1].name, shown[1].value), ("null", None));
        assert_eq!(shown.len(), 2);
    });
    assert_eq!(soon(summary).await.unwrap().records, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_where_the_topic_ended_at_the_call_while_others_go_on_writing() {
    let topic = TestTopic::create("scan-busy", 1).await;
    fill(&topic.name, 0..1_000).await;
    let mut options = KafkaOptions::new(brokers());
    // Nothing is fetched ahead: the end cannot have been reached before more is written.
    for (key, value) in [
        ("queued.min.messages", "1"),
        ("fetch.message.max.bytes", "1000"),
    ] {
        options.consumer.insert(key.into(), value.into());
    }
    let (started, has_started) = tokio::sync::oneshot::channel();
    let (go_on, may_go_on) = std::sync::mpsc::sync_channel::<()>(0);
    let mut started = Some(started);
    let topics = [topic.name.clone()];
    let scanned = scan(&options, &topics, CancellationToken::new(), move |_| {
        if let Some(started) = started.take() {
            started.send(()).unwrap();
            may_go_on.recv().unwrap();
        }
    });
    let write = async {
        has_started.await.unwrap();
        fill(&topic.name, 1_000..2_000).await;
        go_on.send(()).unwrap();
    };
    let (summary, ()) = soon(async { tokio::join!(scanned, write) }).await;
    assert_eq!(summary.unwrap().records, 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_when_it_is_told_to() {
    let topic = TestTopic::create("scan-stop", 1).await;
    fill(&topic.name, 0..20_000).await;
    let cancel = CancellationToken::new();
    let seen = Arc::new(Mutex::new(0));
    let (count, stop) = (Arc::clone(&seen), cancel.clone());
    let options = KafkaOptions::new(brokers());
    let scanned = scan(
        &options,
        std::slice::from_ref(&topic.name),
        cancel,
        move |_| {
            *count.lock().unwrap() += 1;
            stop.cancel();
        },
    );
    let stopped = soon(scanned).await.unwrap_err();
    assert!(matches!(stopped, Error::Cancelled), "{stopped:?}");
    assert!(*seen.lock().unwrap() < 20_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_nobody_waits_for_ends() {
    let options = KafkaOptions::new("127.0.0.1:1");
    let held = Arc::new(());
    let witness = Arc::downgrade(&held);
    let topics = ["t".to_owned()];
    let scanned = scan(&options, &topics, CancellationToken::new(), move |_| {
        drop(Arc::clone(&held));
    });
    let dropped = tokio::time::timeout(Duration::from_millis(50), scanned).await;
    assert!(dropped.is_err(), "nobody can have answered");
    soon(async {
        while witness.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
