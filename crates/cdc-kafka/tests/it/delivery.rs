//! What arrives, and in which order.

use std::collections::HashMap;

use cdc_kafka::{
    Disposition, HeaderRef, InFlight, KafkaOptions, Limits, Offset, OrderedProducer,
    OutgoingRecord, Partition, Place, PoisonReason, SendError, TimestampMillis,
};

use crate::reading::{Received, read_all};
use crate::setup::{Sender, TestTopic, brokers, record, soon};

fn sender(limits: Limits) -> Sender {
    Sender::new(OrderedProducer::new(&KafkaOptions::new(brokers()), limits).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_order_of_each_key_and_reports_each_record_once() {
    const RECORDS: usize = 100_000;
    const KEYS: usize = 500;
    let topic = TestTopic::create("order", 6).await;
    let limits = Limits {
        max_in_flight_records: 5_000,
        ..Limits::default()
    };
    let mut sender = sender(limits);
    for number in 0..RECORDS {
        let key = format!("key-{}", number % KEYS);
        let value = number.to_string();
        sender
            .send(record(&topic.name, key.as_bytes(), value.as_bytes()))
            .await;
    }
    sender.drain().await;

    assert!(
        sender.times_full > 0,
        "the limits never bit: the test shows too little"
    );
    assert_eq!(sender.deliveries.len(), RECORDS);
    assert!(
        sender
            .deliveries
            .values()
            .all(|delivery| delivery.result.is_ok())
    );
    assert!(sender.watermark.is_idle());
    assert_eq!(sender.producer.in_flight(), InFlight::default());

    let received = read_all(&brokers(), &topic.name, topic.partitions).await;
    assert_eq!(received.len(), RECORDS);
    let mut by_key: HashMap<Vec<u8>, (i32, usize)> = HashMap::new();
    for Received {
        partition,
        key,
        value,
        ..
    } in received
    {
        let number: usize = String::from_utf8(value.unwrap()).unwrap().parse().unwrap();
        let (home, next) = by_key
            .entry(key.unwrap())
            .or_insert((partition, number % KEYS));
        assert_eq!(
            (*home, *next),
            (partition, number),
            "a key's partition and next number"
        );
        *next += KEYS;
    }
    assert_eq!(by_key.len(), KEYS);
}

#[tokio::test(flavor = "multi_thread")]
async fn says_where_a_record_is_that_was_delivered() {
    let topic = TestTopic::create("place", 2).await;
    let mut sender = sender(Limits::default());
    let mut sent = Vec::new();
    for partition in [1, 0, 1, 1] {
        let record = OutgoingRecord {
            partition: Some(Partition(partition)),
            ..record(&topic.name, b"k", b"v")
        };
        sent.push(sender.send(record).await);
    }
    sender.drain().await;
    let places: Vec<_> = sent
        .iter()
        .map(|sequence| sender.deliveries[sequence].place.unwrap())
        .collect();
    let place = |partition, offset| Place {
        partition: Partition(partition),
        offset: Offset(offset),
    };
    assert_eq!(places, [place(1, 0), place(0, 0), place(1, 1), place(1, 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn chooses_the_partition_that_java_chooses() {
    // As the Java client chose them of 6 partitions.
    const KEYS: [(&str, i32); 13] = [
        ("0", 2),
        ("1", 3),
        ("3", 5),
        ("4", 1),
        ("6", 4),
        ("7", 3),
        ("9", 5),
        ("10", 4),
        ("a", 4),
        ("abc", 3),
        ("Zoë", 4),
        ("東京", 1),
        ("3f2504e0-4f89-41d3-9a0c-0305e82c3301", 2),
    ];
    let topic = TestTopic::create("murmur2", 6).await;
    let mut sender = sender(Limits::default());
    for (key, _) in KEYS {
        sender.send(record(&topic.name, key.as_bytes(), b"")).await;
    }
    sender.drain().await;

    let received = read_all(&brokers(), &topic.name, 6).await;
    assert_eq!(received.len(), KEYS.len());
    for Received { partition, key, .. } in received {
        let key = String::from_utf8(key.unwrap()).unwrap();
        let (_, expected) = KEYS.iter().find(|(known, _)| *known == key).unwrap();
        assert_eq!(partition, *expected, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_every_byte_and_tells_null_from_empty() {
    let topic = TestTopic::create("bytes", 3).await;
    let every_byte: Vec<u8> = (0..=255).collect();
    let headers = [
        HeaderRef {
            name: "id",
            value: Some(&every_byte),
        },
        HeaderRef {
            name: "null",
            value: None,
        },
        HeaderRef {
            name: "empty",
            value: Some(b""),
        },
        HeaderRef {
            name: "id",
            value: Some(b"again"),
        },
        HeaderRef {
            name: "",
            value: Some(b"no name"),
        },
    ];
    let plain = OutgoingRecord {
        topic: &topic.name,
        partition: Some(Partition(2)),
        key: None,
        value: None,
        headers: &[],
        timestamp: Some(TimestampMillis(1_700_000_000_123)),
    };
    let sent = [
        OutgoingRecord {
            key: Some(&every_byte),
            value: Some(&every_byte),
            ..plain
        },
        OutgoingRecord {
            key: Some(b""),
            value: Some(b""),
            ..plain
        },
        OutgoingRecord {
            headers: &headers,
            timestamp: Some(TimestampMillis(1)),
            ..plain
        },
        plain,
    ];
    let mut sender = sender(Limits::default());
    for record in sent {
        sender.send(record).await;
    }
    sender.drain().await;
    assert_eq!(
        sender.producer.in_flight(),
        InFlight::default(),
        "counted the same both ways"
    );

    let expected: Vec<Received> = sent
        .iter()
        .map(|record| Received {
            partition: 2,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record
                .headers
                .iter()
                .map(|header| (header.name.to_owned(), header.value.map(<[u8]>::to_vec)))
                .collect(),
            timestamp: record.timestamp.map(|timestamp| timestamp.0),
        })
        .collect();
    assert_eq!(read_all(&brokers(), &topic.name, 3).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn takes_the_time_of_sending_for_a_record_without_one() {
    let topic = TestTopic::create("time", 1).await;
    let now = || i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let before = now();
    let mut sender = sender(Limits::default());
    sender.send(record(&topic.name, b"k", b"v")).await;
    sender.drain().await;

    let received = read_all(&brokers(), &topic.name, 1).await;
    let timestamp = received[0].timestamp.unwrap();
    assert!(
        (before..=now()).contains(&timestamp),
        "{before} {timestamp}"
    );
}

/// One record is too large for the topic, and those that share its batch are refused with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_gapless_producer_delivers_nothing_that_was_sent_after_a_refused_record() {
    for large_one in [0, 40, 700] {
        let topic = TestTopic::with_small_batches("gapless", 20_000).await;
        let options = KafkaOptions::new(brokers());
        let producer = OrderedProducer::gapless(&options, Limits::default()).unwrap();
        let mut sender = Sender::new(producer);
        let large = vec![b'x'; 60_000];
        let mut number = 0_u32;
        // Goes on for as long as anything is taken, however soon the broker answers.
        soon(async {
            loop {
                let value = number.to_be_bytes();
                let value = if number == large_one {
                    &large[..]
                } else {
                    &value[..]
                };
                let sequence = sender.watermark.next_sequence();
                match sender
                    .producer
                    .try_send(record(&topic.name, b"k", value), sequence)
                {
                    Ok(()) => {
                        sender.watermark.assign();
                        number += 1;
                    }
                    Err(SendError::Full) if sender.producer.has_room() => panic!("not full"),
                    Err(SendError::Full) => {
                        sender.producer.delivered().await;
                        sender.take();
                    }
                    Err(SendError::Failed(error)) => {
                        assert_eq!(error.disposition(), Disposition::Rebuild, "{error:?}");
                        return;
                    }
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(sender.producer.in_flight(), InFlight::default());
        let refused = sender.deliveries.values().find_map(|delivery| {
            let error = delivery.result.as_ref().err()?;
            (!error.is_given_up()).then(|| error.disposition())
        });
        assert_eq!(refused, Some(Disposition::Poison(PoisonReason::TooLarge)));
        let received = read_all(&brokers(), &topic.name, topic.partitions).await;
        let found: Vec<_> = received
            .into_iter()
            .map(|received| received.value.unwrap())
            .collect();
        let before: Vec<_> = (0..large_one)
            .map(|number| number.to_be_bytes().to_vec())
            .take(found.len())
            .collect();
        assert_eq!(found, before);
    }
}
