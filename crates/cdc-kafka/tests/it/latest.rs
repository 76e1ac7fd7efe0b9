//! The newest value of a key in a topic.

use std::time::{Duration, Instant};

use cdc_kafka::{
    Disposition, Error, KafkaOptions, Latest, Limits, OrderedProducer, OutgoingRecord,
    TimestampMillis, latest,
};

use crate::setup::{DEADLINE, Sender, TestTopic, brokers, record, soon, unique_name};
use crate::transmitter::{Transmitter, unique_id};

async fn newest(topic: &str, key: &str) -> Latest {
    let options = KafkaOptions::new(brokers());
    latest(&options, topic, key.as_bytes(), no_other, DEADLINE)
        .await
        .unwrap()
}

fn no_other(_: &[u8]) -> bool {
    false
}

fn value(text: &str) -> Latest {
    Latest::Value(text.as_bytes().to_vec())
}

fn sender() -> Sender {
    let options = KafkaOptions::new(brokers());
    Sender::new(OrderedProducer::new(&options, Limits::default()).unwrap())
}

async fn transact(sender: &mut Transmitter, topic: &str, value: &str) {
    sender.producer.begin().unwrap();
    sender.send(record(topic, b"key", value.as_bytes())).await;
    sender.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn finds_the_newest_value_of_each_key() {
    let topic = TestTopic::create("newest", 3).await;
    assert_eq!(newest(&topic.name, "a").await, Latest::Absent);
    let mut sender = sender();
    for (key, value) in [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4"), ("ab", "5")] {
        sender
            .send(record(&topic.name, key.as_bytes(), value.as_bytes()))
            .await;
    }
    let tombstone = OutgoingRecord {
        value: None,
        ..record(&topic.name, b"c", b"")
    };
    sender.send(tombstone).await;
    sender.drain().await;
    for (key, expected) in [
        ("a", value("3")),
        ("b", value("2")),
        ("c", Latest::Absent),
        ("d", Latest::Absent),
    ] {
        assert_eq!(newest(&topic.name, key).await, expected, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_key_without_a_value_another_one_does() {
    let topic = TestTopic::create("other", 2).await;
    let options = KafkaOptions::new(brokers());
    let other = |key: &[u8]| key.ends_with(b"/slot");
    let newest = async |key: &[u8]| latest(&options, &topic.name, key, other, DEADLINE).await;
    assert_eq!(newest(b"1/slot").await.unwrap(), Latest::Absent);
    let mut sender = sender();
    let old = OutgoingRecord {
        timestamp: Some(TimestampMillis(1_000)),
        ..record(&topic.name, b"2/slot", b"old")
    };
    sender.send(old).await;
    for (key, value) in [("3/slot", "new"), ("4/slot", "gone"), ("5/another", "5")] {
        sender
            .send(record(&topic.name, key.as_bytes(), value.as_bytes()))
            .await;
    }
    let tombstone = OutgoingRecord {
        value: None,
        ..record(&topic.name, b"4/slot", b"")
    };
    sender.send(tombstone).await;
    sender.drain().await;
    let found = Latest::Other {
        key: b"3/slot".to_vec(),
        value: b"new".to_vec(),
    };
    assert_eq!(newest(b"1/slot").await.unwrap(), found, "never there");
    assert_eq!(newest(b"4/slot").await.unwrap(), found, "no more there");
    assert_eq!(newest(b"2/slot").await.unwrap(), value("old"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_a_missing_topic_from_an_empty_one_and_does_not_create_it() {
    let name = unique_name("missing");
    for _ in 0..2 {
        assert_eq!(newest(&name, "key").await, Latest::MissingTopic);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_offset_decides_and_not_the_clock_of_the_writer() {
    let topic = TestTopic::create("clocks", 1).await;
    let mut sender = sender();
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    for (value, time) in [("old", now), ("new", now - 60_000)] {
        let record = OutgoingRecord {
            timestamp: Some(TimestampMillis(time)),
            ..record(&topic.name, b"key", value.as_bytes())
        };
        sender.send(record).await;
    }
    sender.drain().await;
    assert_eq!(newest(&topic.name, "key").await, value("new"));
}

#[tokio::test(flavor = "multi_thread")]
async fn finds_a_value_far_behind_the_tail_and_one_at_each_border() {
    // The windows that are looked at are the last 10,000 offsets, 100,000 before these, then all.
    const TOTAL: usize = 130_000;
    let topic = TestTopic::create("far", 1).await;
    let mut sender = sender();
    let marked = [TOTAL, 110_001, 110_000, 10_001, 10_000].map(|from_end| TOTAL - from_end);
    for offset in 0..TOTAL {
        let key = match marked.iter().position(|marked| *marked == offset) {
            Some(index) => format!("marked-{index}"),
            None => "filler".into(),
        };
        sender
            .send(record(&topic.name, key.as_bytes(), b"found"))
            .await;
    }
    sender.drain().await;
    for index in 0..marked.len() {
        let key = format!("marked-{index}");
        assert_eq!(newest(&topic.name, &key).await, value("found"), "{key}");
    }
    assert_eq!(newest(&topic.name, "marked-5").await, Latest::Absent);
}

#[tokio::test(flavor = "multi_thread")]
async fn sees_what_was_committed_and_nothing_else() {
    let topic = TestTopic::create("committed", 1).await;
    let mut sender = Transmitter::open(&unique_id()).await;
    transact(&mut sender, &topic.name, "committed").await;
    soon(sender.producer.commit()).await.unwrap();
    assert_eq!(newest(&topic.name, "key").await, value("committed"));
    // What ends the topic is now an aborted record, and the mark of that.
    transact(&mut sender, &topic.name, "aborted").await;
    soon(sender.producer.abort()).await.unwrap();
    assert_eq!(newest(&topic.name, "key").await, value("committed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sees_all_that_a_producer_committed_once_another_has_taken_over() {
    let topic = TestTopic::create("taken-over", 1).await;
    let id = unique_id();
    let mut open = Transmitter::open(&id).await;
    for number in 0..10 {
        let value_now = number.to_string();
        transact(&mut open, &topic.name, &value_now).await;
        soon(open.producer.commit()).await.unwrap();
        transact(&mut open, &topic.name, "never").await;
        // The older one still has a transaction open: it is ended by this.
        open = Transmitter::open(&id).await;
        assert_eq!(newest(&topic.name, "key").await, value(&value_now));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_for_the_open_transaction_of_another_that_hides_a_committed_value() {
    let topic = TestTopic::create("hidden", 1).await;
    let mut other = Transmitter::open(&unique_id()).await;
    other.producer.begin().unwrap();
    other.send(record(&topic.name, b"other", b"open")).await;
    other.drain().await;
    let mut mine = Transmitter::open(&unique_id()).await;
    transact(&mut mine, &topic.name, "committed").await;
    soon(mine.producer.commit()).await.unwrap();

    let options = KafkaOptions::new(brokers());
    let patience = Duration::from_millis(600);
    let started = Instant::now();
    let error = latest(&options, &topic.name, b"key", no_other, patience).await;
    let error = error.unwrap_err();
    assert!(started.elapsed() >= patience, "{error:?}");
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains(&topic.name), "{error}");
    assert_eq!(error.disposition(), Disposition::Transient);

    let (found, ()) = tokio::join!(newest(&topic.name, "key"), async {
        soon(other.producer.commit()).await.unwrap();
    });
    assert_eq!(found, value("committed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn gives_up_in_time_on_a_cluster_that_is_not_there() {
    let options = KafkaOptions::new("127.0.0.1:1");
    let patience = Duration::from_millis(300);
    let started = Instant::now();
    let error = latest(&options, "t", b"key", no_other, patience)
        .await
        .unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(5), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    assert_eq!(error.disposition(), Disposition::Transient);
}
