//! What is in flight is bounded while Kafka does not answer.

use cdc_event::Sequence;
use cdc_kafka::{
    HeaderRef, InFlight, KafkaOptions, Limits, OrderedProducer, OutgoingRecord, SendError,
};

use crate::reading::read_all;
use crate::setup::{Sender, mock, record, soon};

/// An address that refuses connections.
const NOBODY: &str = "127.0.0.1:1";

/// Sends the record until it is refused, and says how often it was taken.
fn fill(producer: &OrderedProducer, record: OutgoingRecord<'_>) -> usize {
    for number in 0..1_000_000 {
        match producer.try_send(record, Sequence::new(number as u64)) {
            Ok(()) => {}
            Err(SendError::Full) => return number,
            Err(SendError::Failed(error)) => panic!("{error:?}"),
        }
    }
    panic!("never full");
}

#[tokio::test]
async fn bounds_records_while_kafka_is_away() {
    let limits = Limits {
        max_in_flight_records: 100,
        ..Limits::default()
    };
    let producer = OrderedProducer::new(&KafkaOptions::new(NOBODY), limits).unwrap();
    assert_eq!(fill(&producer, record("t", b"", b"")), 100);
    assert_eq!(
        producer.in_flight(),
        InFlight {
            records: 100,
            bytes: 0
        }
    );
}

#[tokio::test]
async fn bounds_bytes_of_keys_values_and_headers_while_kafka_is_away() {
    let limits = Limits {
        max_in_flight_bytes: 1_000,
        ..Limits::default()
    };
    let headers = [
        HeaderRef {
            name: "name",
            value: Some(b"value!"),
        },
        HeaderRef {
            name: "nameonly",
            value: None,
        },
    ];
    // 12 + 20, and 18 of headers, which count as 64: 96 bytes a record.
    let record = OutgoingRecord {
        headers: &headers,
        ..record("t", &[0; 12], &[0; 20])
    };
    let producer = OrderedProducer::new(&KafkaOptions::new(NOBODY), limits).unwrap();
    assert_eq!(fill(&producer, record), 11);
    assert_eq!(
        producer.in_flight(),
        InFlight {
            records: 11,
            bytes: 11 * 96
        }
    );
}

#[tokio::test]
async fn takes_one_record_of_any_size() {
    let limits = Limits {
        max_in_flight_bytes: 10,
        max_in_flight_records: 10,
    };
    let producer = OrderedProducer::new(&KafkaOptions::new(NOBODY), limits).unwrap();
    assert_eq!(fill(&producer, record("t", b"key", &[0; 900_000])), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_where_it_was_full_once_kafka_is_back() {
    let (cluster, options) = mock("t");
    cluster.broker_down(-1).unwrap();
    let limits = Limits {
        max_in_flight_records: 8,
        ..Limits::default()
    };
    let mut sender = Sender::new(OrderedProducer::new(&options, limits).unwrap());
    for number in 0..8_u8 {
        sender.send(record("t", b"k", &[number])).await;
    }
    let ninth = sender.watermark.assign();
    let refused = sender.producer.try_send(record("t", b"k", &[8]), ninth);
    assert!(matches!(refused, Err(SendError::Full)), "{refused:?}");
    tokio::select! {
        biased;
        () = sender.producer.capacity() => panic!("there is no room"),
        () = sender.producer.delivered() => panic!("nothing can be delivered"),
        () = std::future::ready(()) => {}
    }

    cluster.broker_up(-1).unwrap();
    soon(sender.producer.delivered()).await;
    sender.drain().await;
    soon(sender.producer.capacity()).await;
    sender
        .producer
        .try_send(record("t", b"k", &[8]), ninth)
        .unwrap();
    sender.drain().await;

    assert!(sender.watermark.is_idle());
    let values: Vec<_> = read_all(&options.brokers, "t", 1)
        .await
        .into_iter()
        .map(|r| r.value)
        .collect();
    assert_eq!(
        values,
        (0..9).map(|number| Some(vec![number])).collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_in_flight_until_its_delivery_is_taken() {
    let (_cluster, options) = mock("t");
    let limits = Limits {
        max_in_flight_records: 4,
        ..Limits::default()
    };
    let producer = OrderedProducer::new(&options, limits).unwrap();
    assert_eq!(fill(&producer, record("t", b"k", b"v")), 4);
    soon(producer.delivered()).await;
    assert_eq!(
        producer.in_flight(),
        InFlight {
            records: 4,
            bytes: 8
        }
    );

    let mut taken = Vec::new();
    soon(async {
        while taken.len() < 4 {
            producer.delivered().await;
            producer.take_deliveries(&mut taken);
        }
    })
    .await;
    assert_eq!(producer.in_flight(), InFlight::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn wakes_who_waits_for_room_when_another_takes_deliveries() {
    let (cluster, options) = mock("t");
    cluster.broker_down(-1).unwrap();
    let limits = Limits {
        max_in_flight_records: 4,
        ..Limits::default()
    };
    let producer = OrderedProducer::new(&options, limits).unwrap();
    fill(&producer, record("t", b"k", b"v"));
    let take_all = async {
        let mut taken = Vec::new();
        while taken.len() < 4 {
            producer.delivered().await;
            producer.take_deliveries(&mut taken);
        }
    };
    cluster.broker_up(-1).unwrap();
    soon(async { tokio::join!(producer.capacity(), take_all) }).await;
}
