//! How fast a group reads, beside a bare loop of librdkafka.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;

use super::setup::TestGroup;
use crate::setup::{DEADLINE, unique_name};

const PARTITIONS: i32 = 6;
const RECORDS: usize = 1_000_000;
const SIZE: usize = 500;

/// Records a second of a loop that looks at nothing but the length of the values.
fn bare(group: &TestGroup) -> f64 {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &group.options.brokers)
        .set("group.id", unique_name("bare"))
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        // Its default would have it wait for most of the time.
        .set("fetch.queue.backoff.ms", "2")
        .create()
        .unwrap();
    consumer.subscribe(&[&group.topic.name]).unwrap();
    let (mut started, mut records, mut bytes) = (None, 0, 0);
    while records < RECORDS {
        if let Some(message) = consumer.poll(DEADLINE) {
            started.get_or_insert_with(Instant::now);
            bytes += message.unwrap().payload().unwrap().len();
            records += 1;
        }
    }
    assert_eq!(bytes, RECORDS * SIZE);
    rate(started.unwrap().elapsed())
}

/// Records a second of readers that take turns.
async fn readers(group: &TestGroup) -> f64 {
    let mut settings = group.settings();
    settings.group = unique_name("readers");
    let mut member = group.join_with(&settings);
    member.assigned(PARTITIONS as usize).await;
    let (mut records, mut bytes) = (0, 0);
    let started = Instant::now();
    let mut batch = Vec::new();
    while records < RECORDS {
        let before = records;
        for reader in member.readers.values_mut() {
            batch.clear();
            records += reader.try_take(1_000, usize::MAX, &mut batch);
            bytes += batch
                .iter()
                .map(|record| record.value.as_ref().unwrap().len())
                .sum::<usize>();
            if let Some(last) = batch.last() {
                reader.store(last.offset.next());
            }
        }
        if records == before {
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
    }
    assert_eq!(bytes, RECORDS * SIZE);
    let rate = rate(started.elapsed());
    member.close().await;
    rate
}

fn rate(elapsed: Duration) -> f64 {
    RECORDS as f64 / elapsed.as_secs_f64()
}

/// A measurement, not a test: it wants a quiet machine, and prints what it finds.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures throughput"]
async fn reads_about_as_fast_as_a_bare_loop() {
    let group = TestGroup::create("throughput", PARTITIONS).await;
    for partition in 0..PARTITIONS {
        let from = RECORDS * partition as usize / PARTITIONS as usize;
        let to = RECORDS * (partition as usize + 1) / PARTITIONS as usize;
        group
            .write_values(partition, (from..to).map(|_| vec![b'x'; SIZE]))
            .await;
    }
    for round in 0..3 {
        let bare = tokio::task::block_in_place(|| bare(&group));
        let readers = readers(&group).await;
        println!(
            "{round}: bare {bare:.0}/s, readers {readers:.0}/s, ratio {:.2}",
            readers / bare
        );
    }
}
