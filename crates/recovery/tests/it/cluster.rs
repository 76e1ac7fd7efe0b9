//! The cluster: topics, records, offsets.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cdc_event::{Header, Headers, Sequence};
use cdc_kafka::{
    HeaderRef, KafkaOptions, Limits, OrderedProducer, OutgoingRecord, Partition, SendError,
    TimestampMillis, TopicConfig, TopicSettings, Topics, group_lag, scan,
};
use tokio_util::sync::CancellationToken;

/// How long anything may take; far more than it does.
pub(crate) const DEADLINE: Duration = Duration::from_secs(45);

/// A record to send, or one that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) partition: i32,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Headers,
    pub(crate) timestamp_ms: Option<i64>,
}

impl Sent {
    pub(crate) fn new(partition: i32, key: &str, value: impl std::fmt::Display) -> Self {
        Self {
            partition,
            key: Some(key.as_bytes().to_vec()),
            value: Some(value.to_string().into_bytes()),
            headers: Headers::new(),
            timestamp_ms: None,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<Vec<u8>> {
        self.headers
            .last(name)
            .and_then(|header| header.value.clone())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(self.value.as_deref().unwrap_or_default()).into_owned()
    }
}

/// Fails the test when `what` takes longer than [`DEADLINE`].
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what)
        .await
        .expect("took too long")
}

/// Waits for a condition that others make true.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let waited = tokio::time::timeout(DEADLINE, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("never: {what}"));
}

pub(crate) fn options() -> KafkaOptions {
    KafkaOptions::new(brokers())
}

/// Whose members notice each other at once.
pub(crate) fn quick(mut options: KafkaOptions) -> KafkaOptions {
    for (name, value) in [
        ("heartbeat.interval.ms", "100"),
        ("session.timeout.ms", "6000"),
    ] {
        options.consumer.insert(name.into(), value.into());
    }
    options
}

fn brokers() -> String {
    const NAME: &str = "KAFKA_BROKERS";
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.services/env");
    let from_file = || {
        let text = std::fs::read_to_string(file).ok()?;
        text.lines()
            .find_map(|line| Some(line.strip_prefix(NAME)?.strip_prefix('=')?.to_owned()))
    };
    std::env::var(NAME)
        .ok()
        .or_else(from_file)
        .expect("no KAFKA_BROKERS: run `make services-up`")
}

pub(crate) fn unique_name(label: &str) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let started = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    format!(
        "it.recovery.{label}.{}.{started}.{number}",
        std::process::id()
    )
}

pub(crate) async fn create(topic: &str, partitions: i32, config: TopicConfig) {
    create_on(&options(), topic, partitions, config).await;
}

/// As [`create`], on another cluster.
pub(crate) async fn create_on(
    options: &KafkaOptions,
    topic: &str,
    partitions: i32,
    config: TopicConfig,
) {
    let settings = TopicSettings {
        partitions,
        replication_factor: -1,
    };
    let topics = Topics::new(options.clone(), DEADLINE);
    topics
        .ensure_with(&[topic.to_owned()], settings, config)
        .await
        .unwrap();
}

pub(crate) async fn partitions(topic: &str) -> Option<usize> {
    let topics = Topics::new(options(), DEADLINE);
    match topics
        .describe(&[topic.to_owned()])
        .await
        .unwrap()
        .remove(0)
    {
        cdc_kafka::TopicInfo::Present { partitions, .. } => Some(partitions),
        cdc_kafka::TopicInfo::Missing { .. } => None,
    }
}

/// Waits until the brokers say that a topic has this many partitions.
pub(crate) async fn until_partitions(topic: &str, count: i32) {
    let count = usize::try_from(count).unwrap();
    let waited = async {
        while partitions(topic).await != Some(count) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon(waited).await;
}

/// Sends records in their order and waits until they are there.
pub(crate) async fn send(topic: &str, records: &[Sent]) {
    send_with(&options(), topic, records).await;
}

/// As [`send`], with options.
pub(crate) async fn send_with(options: &KafkaOptions, topic: &str, records: &[Sent]) {
    let producer = OrderedProducer::new(options, Limits::default()).unwrap();
    let mut delivered = Vec::new();
    let mut count = 0;
    for (number, record) in records.iter().enumerate() {
        let headers = record.headers.as_slice().iter();
        let headers: Vec<_> = headers
            .map(|Header { name, value }| HeaderRef {
                name,
                value: value.as_deref(),
            })
            .collect();
        let outgoing = OutgoingRecord {
            topic,
            partition: Some(Partition(record.partition)),
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
            timestamp: record.timestamp_ms.map(TimestampMillis),
        };
        while let Err(error) = producer.try_send(outgoing, Sequence::new(number as u64)) {
            assert!(matches!(error, SendError::Full), "{error:?}");
            soon(producer.delivered()).await;
            count += take(&producer, &mut delivered);
        }
    }
    while count < records.len() {
        soon(producer.delivered()).await;
        count += take(&producer, &mut delivered);
    }
}

fn take(producer: &OrderedProducer, into: &mut Vec<cdc_kafka::Delivery>) -> usize {
    producer.take_deliveries(into);
    into.drain(..)
        .map(|delivery| delivery.result.unwrap())
        .count()
}

/// Everything that a topic holds.
pub(crate) async fn read(topic: &str) -> Vec<Sent> {
    read_on(&options(), topic).await
}

/// As [`read`], on another cluster.
pub(crate) async fn read_on(options: &KafkaOptions, topic: &str) -> Vec<Sent> {
    let records = Arc::new(Mutex::new(Vec::new()));
    let collected = Arc::clone(&records);
    let visit = move |record: cdc_kafka::ScannedRecord<'_>| {
        let mut headers = Headers::new();
        for header in record.headers() {
            headers.push(header.name, header.value.map(<[u8]>::to_vec));
        }
        collected.lock().unwrap().push(Sent {
            partition: record.partition().0,
            key: record.key().map(<[u8]>::to_vec),
            value: record.value().map(<[u8]>::to_vec),
            headers,
            timestamp_ms: record.timestamp().map(|timestamp| timestamp.0),
        });
    };
    soon(scan(
        options,
        &[topic.to_owned()],
        CancellationToken::new(),
        visit,
    ))
    .await
    .unwrap();
    Arc::into_inner(records)
        .expect("nobody reads any more")
        .into_inner()
        .unwrap()
}

/// Where a group stands, by partition; 0 where it has committed nothing.
pub(crate) async fn committed(group: &str, topic: &str) -> BTreeMap<i32, i64> {
    committed_on(&options(), group, topic).await
}

/// As [`committed`], on another cluster.
pub(crate) async fn committed_on(
    options: &KafkaOptions,
    group: &str,
    topic: &str,
) -> BTreeMap<i32, i64> {
    let lags = group_lag(options, group, &[topic.to_owned()], DEADLINE)
        .await
        .unwrap();
    lags.into_iter()
        .map(|lag| {
            (
                lag.partition.partition.0,
                lag.committed.map_or(0, |offset| offset.0),
            )
        })
        .collect()
}

/// Adds partitions to a topic, so that it has `count`.
pub(crate) fn grow(topic: &str, count: i32) {
    const CREATE_PARTITIONS: i16 = 37;
    let mut request = 1_i32.to_be_bytes().to_vec();
    request.extend(text(topic));
    request.extend(count.to_be_bytes());
    // Kafka chooses where they are.
    request.extend((-1_i32).to_be_bytes());
    request.extend(TIMEOUT_MS.to_be_bytes());
    request.push(0);
    let answer = ask(CREATE_PARTITIONS, 0, &request).unwrap();
    // The id of the request, how long it was throttled, one topic with its name, then the code of its error.
    let code = &answer[4 + 4 + 4 + 2 + topic.len()..][..2];
    assert_eq!(code, [0, 0], "{topic}");
}

/// Changes one property of a topic.
pub(crate) fn configure(topic: &str, name: &str, value: &str) {
    const INCREMENTAL_ALTER_CONFIGS: i16 = 44;
    const TOPIC: u8 = 2;
    const SET: u8 = 0;
    let one = 1_i32.to_be_bytes();
    let mut request = one.to_vec();
    request.push(TOPIC);
    request.extend(text(topic));
    request.extend(one);
    request.extend(text(name));
    request.push(SET);
    request.extend(text(value));
    // It is not only checked.
    request.push(0);
    let answer = ask(INCREMENTAL_ALTER_CONFIGS, 0, &request).unwrap();
    // The id of the request, how long it was throttled, one answer, which begins with the code of its error.
    assert_eq!(answer[4 + 4 + 4..][..2], [0, 0], "{topic}");
}

/// Deletes topics; those that are not there are no failure.
pub(crate) fn delete(topics: &[String]) {
    const DELETE_TOPICS: i16 = 20;
    let count = i32::try_from(topics.len()).unwrap();
    let mut request = count.to_be_bytes().to_vec();
    topics.iter().for_each(|topic| request.extend(text(topic)));
    request.extend(TIMEOUT_MS.to_be_bytes());
    // What is left behind is no reason to fail the test that used it.
    drop(ask(DELETE_TOPICS, 1, &request));
}

/// For what is asked of Kafka without a client.
const TIMEOUT_MS: i32 = 10_000;

fn text(text: &str) -> Vec<u8> {
    let length = i16::try_from(text.len()).unwrap().to_be_bytes();
    [&length[..], text.as_bytes()].concat()
}

/// Asks a broker, and gives its answer without the length.
fn ask(what: i16, version: i16, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut message = [what.to_be_bytes(), version.to_be_bytes()].concat();
    message.extend(1_i32.to_be_bytes());
    message.extend(text("it"));
    message.extend(request);
    let brokers = brokers();
    let mut broker = TcpStream::connect(brokers.split(',').next().unwrap_or_default())?;
    broker.set_read_timeout(Some(DEADLINE))?;
    broker.write_all(&i32::try_from(message.len()).unwrap().to_be_bytes())?;
    broker.write_all(&message)?;
    let mut length = [0; 4];
    broker.read_exact(&mut length)?;
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
    broker.read_exact(&mut answer)?;
    Ok(answer)
}
