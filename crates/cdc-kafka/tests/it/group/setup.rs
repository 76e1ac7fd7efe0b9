//! A group with a topic of its own, and its members.

use std::collections::BTreeMap;
use std::time::Duration;

use cdc_kafka::{
    ConsumerEvent, ConsumerSettings, Error, FetchedRecord, GroupConsumer, KafkaOptions, Limits,
    Offset, OrderedProducer, OutgoingRecord, Partition, PartitionReader, TopicPartition, group_lag,
};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;

use crate::setup::{DEADLINE, Sender, TestTopic, brokers, soon, unique_name};

/// A consumer group with a topic. Both are deleted in the end.
pub(crate) struct TestGroup {
    pub(crate) topic: TestTopic,
    pub(crate) name: String,
    pub(crate) options: KafkaOptions,
}

impl TestGroup {
    pub(crate) async fn create(label: &str, partitions: i32) -> Self {
        Self {
            topic: TestTopic::create(label, partitions).await,
            name: unique_name(label),
            options: quick(KafkaOptions::new(brokers())),
        }
    }

    pub(crate) fn settings(&self) -> ConsumerSettings {
        let mut settings = ConsumerSettings::new(&self.name, vec![self.topic.name.clone()]);
        settings.commit_interval = Duration::from_millis(50);
        settings
    }

    /// A new member.
    pub(crate) fn join(&self) -> Member {
        self.join_with(&self.settings())
    }

    pub(crate) fn join_with(&self, settings: &ConsumerSettings) -> Member {
        Member::start(&self.options, settings)
    }

    /// Writes numbered records to a partition, from `from` up to and without `to`.
    pub(crate) async fn write(&self, partition: i32, from: u32, to: u32) {
        self.write_values(
            partition,
            (from..to).map(|number| number.to_be_bytes().to_vec()),
        )
        .await;
    }

    pub(crate) async fn write_values(&self, partition: i32, values: impl Iterator<Item = Vec<u8>>) {
        let mut sender =
            Sender::new(OrderedProducer::new(&self.options, Limits::default()).unwrap());
        for value in values {
            sender
                .send(OutgoingRecord {
                    topic: &self.topic.name,
                    partition: Some(Partition(partition)),
                    key: None,
                    value: Some(&value),
                    headers: &[],
                    timestamp: None,
                })
                .await;
        }
        sender.drain().await;
    }

    pub(crate) fn partition(&self, number: i32) -> TopicPartition {
        TopicPartition {
            topic: self.topic.name.as_str().into(),
            partition: Partition(number),
        }
    }

    /// What the group has committed.
    pub(crate) async fn committed(&self) -> BTreeMap<i32, i64> {
        let topics = [self.topic.name.clone()];
        let lag = group_lag(&self.options, &self.name, &topics, DEADLINE)
            .await
            .unwrap();
        lag.into_iter()
            .filter_map(|lag| Some((lag.partition.partition.0, lag.committed?.0)))
            .collect()
    }

    pub(crate) fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new()
            .set("bootstrap.servers", &self.options.brokers)
            .create()
            .unwrap()
    }
}

impl Drop for TestGroup {
    fn drop(&mut self) {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let admin = self.admin();
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                // A group that is left behind is no reason to fail the test that used it.
                drop(runtime.block_on(admin.delete_groups(&[&self.name], &AdminOptions::new())));
            });
        });
    }
}

/// Options with which rebalances and new topics are noticed quickly.
pub(crate) fn quick(mut options: KafkaOptions) -> KafkaOptions {
    for (key, value) in [
        ("heartbeat.interval.ms", "100"),
        ("session.timeout.ms", "6000"),
        ("topic.metadata.refresh.interval.ms", "300"),
    ] {
        options.consumer.insert(key.into(), value.into());
    }
    options
}

/// A member of a group and what it has been assigned.
pub(crate) struct Member {
    pub(crate) consumer: GroupConsumer,
    pub(crate) readers: BTreeMap<TopicPartition, PartitionReader>,
    /// Why its clients were replaced.
    pub(crate) renewals: Vec<Error>,
}

impl Member {
    pub(crate) fn start(options: &KafkaOptions, settings: &ConsumerSettings) -> Self {
        let consumer = GroupConsumer::start(options, settings).unwrap();
        Self {
            consumer,
            readers: BTreeMap::new(),
            renewals: Vec::new(),
        }
    }

    /// The next event that is no trouble and no other client.
    pub(crate) async fn event(&mut self) -> ConsumerEvent {
        soon(async {
            loop {
                match self.consumer.event().await {
                    ConsumerEvent::Trouble(_) => {}
                    ConsumerEvent::Renewing(error) => self.renewals.push(error),
                    event => return event,
                }
            }
        })
        .await
    }

    /// Waits until `partitions` are assigned, and fails the test when any are taken away.
    pub(crate) async fn assigned(&mut self, partitions: usize) {
        while self.readers.len() < partitions {
            match self.event().await {
                ConsumerEvent::Assigned(readers) => self.keep(readers),
                event => panic!("{event:?}"),
            }
        }
    }

    pub(crate) fn keep(&mut self, readers: Vec<PartitionReader>) {
        self.readers.extend(
            readers
                .into_iter()
                .map(|reader| (reader.topic_partition().clone(), reader)),
        );
    }

    pub(crate) fn numbers(&self) -> Vec<i32> {
        self.readers
            .keys()
            .map(|partition| partition.partition.0)
            .collect()
    }

    pub(crate) fn reader(&mut self, number: i32) -> &mut PartitionReader {
        let mut readers = self.readers.values_mut();
        readers
            .find(|reader| reader.partition() == Partition(number))
            .unwrap()
    }

    pub(crate) async fn next(&mut self, number: i32) -> FetchedRecord {
        soon(self.reader(number).next())
            .await
            .expect("the partition is not taken away")
    }

    pub(crate) async fn close(self) {
        self.consumer.close(DEADLINE).await.unwrap();
    }
}

/// The number in a record of [`TestGroup::write`].
pub(crate) fn number(record: &FetchedRecord) -> u32 {
    u32::from_be_bytes(record.value.as_deref().unwrap().try_into().unwrap())
}

/// Waits until a condition holds.
pub(crate) async fn until<F: Future<Output = bool>>(condition: impl Fn() -> F) {
    soon(async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// Deletes the records of a partition before an offset.
pub(crate) async fn delete_before(group: &TestGroup, partition: i32, offset: Offset) {
    let mut list = rdkafka::TopicPartitionList::new();
    let before = rdkafka::Offset::Offset(offset.0);
    list.add_partition_offset(&group.topic.name, partition, before)
        .unwrap();
    group
        .admin()
        .delete_records(&list, &AdminOptions::new())
        .await
        .unwrap();
}
