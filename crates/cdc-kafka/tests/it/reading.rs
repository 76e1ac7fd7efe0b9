//! Reads back what a topic holds, through rdkafka alone.

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::time::{Duration, Instant};

use crate::setup::DEADLINE;

/// A record as a consumer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) partition: i32,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) timestamp: Option<i64>,
}

/// Everything that the topic holds; each partition in its order.
pub(crate) async fn read_all(brokers: &str, topic: &str, partitions: i32) -> Vec<Received> {
    let (brokers, topic) = (brokers.to_owned(), topic.to_owned());
    tokio::task::spawn_blocking(move || read_blocking(&brokers, &topic, partitions))
        .await
        .unwrap()
}

fn read_blocking(brokers: &str, topic: &str, partitions: i32) -> Vec<Received> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "unused")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        assignment
            .add_partition_offset(topic, partition, Offset::Beginning)
            .unwrap();
    }
    consumer.assign(&assignment).unwrap();

    let started = Instant::now();
    let mut received = Vec::new();
    let mut at_end = 0;
    while at_end < partitions {
        assert!(
            started.elapsed() < DEADLINE,
            "{} records, {at_end} ends",
            received.len()
        );
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Ok(message)) => received.push(to_received(&message)),
            Some(Err(KafkaError::PartitionEOF(_))) => at_end += 1,
            Some(Err(error)) => panic!("{error}"),
        }
    }
    received
}

fn to_received(message: &impl Message) -> Received {
    let headers = message.headers().map(|headers| {
        let owned = |i| {
            let header = headers.get(i);
            (header.key.to_owned(), header.value.map(<[u8]>::to_vec))
        };
        (0..headers.count()).map(owned).collect()
    });
    Received {
        partition: message.partition(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.unwrap_or_default(),
        timestamp: message.timestamp().to_millis(),
    }
}
