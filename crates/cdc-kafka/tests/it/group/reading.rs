//! What a reader gets.

use std::time::Duration;

use cdc_event::Headers;
use cdc_kafka::{
    FetchedRecord, HeaderRef, Limits, Offset, OrderedProducer, OutgoingRecord, TimestampMillis,
};

use super::setup::{TestGroup, number};
use crate::setup::{Sender, soon};

#[tokio::test(flavor = "multi_thread")]
async fn reads_every_partition_in_its_order() {
    const RECORDS: u32 = 3_000;
    let group = TestGroup::create("order", 4).await;
    for partition in 0..4 {
        group.write(partition, 0, RECORDS).await;
    }
    let mut member = group.join();
    member.assigned(4).await;
    for (_, mut reader) in std::mem::take(&mut member.readers) {
        for expected in 0..RECORDS {
            let record = soon(reader.next()).await.unwrap();
            assert_eq!(
                (record.offset, number(&record)),
                (Offset(i64::from(expected)), expected)
            );
        }
    }
    member.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn takes_as_many_records_and_bytes_as_there_is_room_for() {
    let group = TestGroup::create("room", 1).await;
    group.write_values(0, (0..100).map(|_| vec![0; 1000])).await;
    let mut member = group.join();
    member.assigned(1).await;
    let reader = member.reader(0);
    let mut taken = Vec::new();
    assert_eq!(reader.try_take(0, 1, &mut taken), 0);
    assert_eq!(soon(reader.take(1, 0, &mut taken)).await, 0);
    assert_eq!(soon(reader.take(10, usize::MAX, &mut taken)).await, 10);
    assert_eq!(
        soon(reader.take(usize::MAX, 2_500, &mut taken)).await,
        3,
        "with the one that reaches the bytes"
    );
    assert_eq!(soon(reader.take(usize::MAX, 1, &mut taken)).await, 1);
    while taken.len() < 100 {
        soon(reader.take(usize::MAX, usize::MAX, &mut taken)).await;
    }
    let offsets: Vec<_> = taken.iter().map(|record| record.offset.0).collect();
    assert_eq!(offsets, (0..100).collect::<Vec<_>>());
    assert_eq!(reader.try_take(usize::MAX, usize::MAX, &mut taken), 0);
    member.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_what_a_record_holds() {
    let group = TestGroup::create("content", 1).await;
    let headers = [
        HeaderRef {
            name: "a",
            value: Some(b"1"),
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
            name: "a",
            value: Some(b"\xff\0"),
        },
    ];
    let base = OutgoingRecord {
        topic: &group.topic.name,
        partition: None,
        key: None,
        value: None,
        headers: &[],
        timestamp: Some(TimestampMillis(1)),
    };
    let sent = [
        base,
        OutgoingRecord {
            key: Some(b""),
            value: Some(b""),
            ..base
        },
        OutgoingRecord {
            key: Some(b"k\0"),
            value: Some(b"\xff"),
            headers: &headers,
            ..base
        },
    ];
    let mut sender = Sender::new(OrderedProducer::new(&group.options, Limits::default()).unwrap());
    for record in sent {
        sender.send(record).await;
    }
    sender.drain().await;

    let mut member = group.join();
    member.assigned(1).await;
    let mut expected_headers = Headers::new();
    for header in headers {
        expected_headers.push(header.name, header.value.map(<[u8]>::to_vec));
    }
    let empty = FetchedRecord {
        offset: Offset(0),
        timestamp: Some(TimestampMillis(1)),
        key: None,
        value: None,
        headers: Headers::new(),
    };
    let expected = [
        empty.clone(),
        FetchedRecord {
            offset: Offset(1),
            key: Some(vec![]),
            value: Some(vec![]),
            ..empty.clone()
        },
        FetchedRecord {
            offset: Offset(2),
            key: Some(b"k\0".to_vec()),
            value: Some(b"\xff".to_vec()),
            headers: expected_headers,
            ..empty
        },
    ];
    for expected in expected {
        assert_eq!(member.next(0).await, expected);
    }
    member.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_is_dropped_loses_no_record() {
    const RECORDS: u32 = 2_000;
    let group = TestGroup::create("cancel", 1).await;
    let mut member = group.join();
    member.assigned(1).await;
    let writing = group.write(0, 0, RECORDS);
    let reading = async {
        let mut received = Vec::new();
        while received.len() < RECORDS as usize {
            let wait = Duration::from_micros(50);
            if let Ok(record) = tokio::time::timeout(wait, member.reader(0).next()).await {
                received.push(number(&record.unwrap()));
            }
        }
        received
    };
    let (received, ()) = soon(async { tokio::join!(reading, writing) }).await;
    assert_eq!(received, (0..RECORDS).collect::<Vec<_>>());
    member.close().await;
}
