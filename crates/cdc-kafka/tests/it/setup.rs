//! The cluster, topics of one's own, and a sender that minds the limits.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cdc_event::{Sequence, Watermark};
use cdc_kafka::{
    Delivery, KafkaOptions, OrderedProducer, OutgoingRecord, SendError, TopicSettings, Topics,
};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

pub(crate) type Mock = MockCluster<'static, DefaultProducerContext>;

/// How long anything may take; far more than it does.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A record with a key and a value and nothing else.
pub(crate) fn record<'a>(topic: &'a str, key: &'a [u8], value: &'a [u8]) -> OutgoingRecord<'a> {
    OutgoingRecord {
        topic,
        partition: None,
        key: Some(key),
        value: Some(value),
        headers: &[],
        timestamp: None,
    }
}

/// Fails the test when `what` takes longer than [`DEADLINE`].
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what)
        .await
        .expect("took too long")
}

/// The address of the real cluster.
pub(crate) fn brokers() -> String {
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

pub(crate) fn mock(topic: &str) -> (Mock, KafkaOptions) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(topic, 1, 1).unwrap();
    let options = KafkaOptions::new(cluster.bootstrap_servers());
    (cluster, options)
}

/// A topic of the real cluster with a name of its own, deleted in the end.
pub(crate) struct TestTopic {
    pub(crate) name: String,
    pub(crate) partitions: i32,
}

impl TestTopic {
    pub(crate) async fn create(label: &str, partitions: i32) -> Self {
        let topic = Self {
            name: unique_name(label),
            partitions,
        };
        let settings = TopicSettings {
            partitions,
            replication_factor: -1,
        };
        let topics = Topics::new(KafkaOptions::new(brokers()), DEADLINE);
        topics
            .ensure(std::slice::from_ref(&topic.name), settings)
            .await
            .unwrap();
        topic
    }
}

impl TestTopic {
    /// A topic of one partition that refuses batches of more than `bytes`.
    pub(crate) async fn with_small_batches(label: &str, bytes: usize) -> Self {
        let topic = Self {
            name: unique_name(label),
            partitions: 1,
        };
        let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
            .set("bootstrap.servers", brokers())
            .create()
            .unwrap();
        let bytes = bytes.to_string();
        let new = NewTopic::new(&topic.name, 1, TopicReplication::Fixed(1))
            .set("max.message.bytes", &bytes);
        for created in admin
            .create_topics([&new], &AdminOptions::new())
            .await
            .unwrap()
        {
            created.unwrap();
        }
        topic
    }
}

impl Drop for TestTopic {
    fn drop(&mut self) {
        delete_topic(&self.name);
    }
}

pub(crate) fn unique_name(label: &str) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let started = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    format!("it.kafka.{label}.{}.{started}.{number}", std::process::id())
}

/// Deletes a topic of the real cluster; one that is not there is no failure.
pub(crate) fn delete_topic(name: &str) {
    // A thread of its own: this runs in destructors, on threads of a runtime.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
                .set("bootstrap.servers", brokers())
                .create()
                .unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            // A topic that is left behind is no reason to fail the test that used it.
            drop(runtime.block_on(admin.delete_topics(&[name], &AdminOptions::new())));
        });
    });
}

/// Sends like the pipeline does: on `Full` it takes deliveries until there is room.
pub(crate) struct Sender {
    pub(crate) producer: OrderedProducer,
    pub(crate) watermark: Watermark<()>,
    pub(crate) deliveries: BTreeMap<Sequence, Delivery>,
    pub(crate) times_full: usize,
}

impl Sender {
    pub(crate) fn new(producer: OrderedProducer) -> Self {
        Self {
            producer,
            watermark: Watermark::new(),
            deliveries: BTreeMap::new(),
            times_full: 0,
        }
    }

    /// Sends a record, waiting for room as long as it takes.
    pub(crate) async fn send(&mut self, record: OutgoingRecord<'_>) -> Sequence {
        let sequence = self.watermark.assign();
        loop {
            match self.producer.try_send(record, sequence) {
                Ok(()) => return sequence,
                Err(SendError::Full) => {
                    self.times_full += 1;
                    soon(self.wait_for_room()).await;
                }
                Err(SendError::Failed(error)) => panic!("not taken: {error:?}"),
            }
        }
    }

    /// Takes deliveries until nothing is in flight.
    pub(crate) async fn drain(&mut self) {
        soon(async {
            while self.producer.in_flight().records > 0 {
                self.producer.delivered().await;
                self.take();
            }
        })
        .await;
    }

    /// Takes what has been delivered; fails the test when a record is reported twice.
    pub(crate) fn take(&mut self) {
        let mut taken = Vec::new();
        self.producer.take_deliveries(&mut taken);
        for delivery in taken {
            self.watermark.acknowledge(delivery.sequence);
            let twice = self.deliveries.insert(delivery.sequence, delivery);
            assert!(twice.is_none(), "reported twice: {twice:?}");
        }
    }

    async fn wait_for_room(&mut self) {
        loop {
            tokio::select! {
                () = self.producer.capacity() => return,
                () = self.producer.delivered() => {}
            }
            self.take();
        }
    }
}
