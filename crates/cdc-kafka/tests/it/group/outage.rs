//! The broker goes away.

use std::time::Duration;

use cdc_kafka::{
    ConsumerEvent, ConsumerSettings, Error, KafkaOptions, Limits, Offset, OrderedProducer,
    TopicSettings, Topics,
};

use super::setup::{Member, number, quick};
use crate::own_kafka::{LONG_SESSION, OwnKafka, SHORT_SESSION};
use crate::setup::{DEADLINE, Sender, record, soon};

pub(super) async fn topic(options: &KafkaOptions) {
    let settings = TopicSettings {
        partitions: 1,
        replication_factor: 1,
    };
    Topics::new(options.clone(), DEADLINE)
        .ensure(&["t".into()], settings)
        .await
        .unwrap();
}

pub(super) fn member(options: &KafkaOptions) -> Member {
    let mut settings = ConsumerSettings::new("g", vec!["t".into()]);
    settings.commit_interval = Duration::from_millis(50);
    let mut options = quick(options.clone());
    // How soon a broker that says nothing is given up.
    options
        .client
        .insert("socket.timeout.ms".into(), "2000".into());
    Member::start(&options, &settings)
}

pub(super) async fn write(options: &KafkaOptions, from: u32, to: u32) {
    let mut sender = Sender::new(OrderedProducer::new(options, Limits::default()).unwrap());
    for number in from..to {
        sender.send(record("t", b"k", &number.to_be_bytes())).await;
    }
    sender.drain().await;
}

/// Reads on whatever is taken away and assigned, storing what is read, until the record with this number.
pub(super) async fn read_to(member: &mut Member, last: u32) -> Vec<u32> {
    let mut seen = Vec::new();
    soon(async {
        while seen.last() != Some(&last) {
            let Some(reader) = member.readers.values_mut().next() else {
                match member.event().await {
                    ConsumerEvent::Assigned(readers) => member.keep(readers),
                    event => panic!("{event:?}"),
                }
                continue;
            };
            match reader.next().await {
                Some(record) => {
                    seen.push(number(&record));
                    reader.store(record.offset.next());
                }
                None => member.readers.clear(),
            }
            if member.readers.is_empty() {
                match member.event().await {
                    ConsumerEvent::Revoking(_) | ConsumerEvent::Lost(_) => {}
                    event => panic!("{event:?}"),
                }
            }
        }
    })
    .await;
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_after_a_crash_of_the_broker() {
    let kafka = OwnKafka::start(SHORT_SESSION).await;
    topic(&kafka.options).await;
    write(&kafka.options, 0, 100).await;
    let mut member = member(&kafka.options);
    assert_eq!(read_to(&mut member, 99).await, (0..100).collect::<Vec<_>>());
    kafka.crash();
    write(&kafka.options, 100, 200).await;
    let seen = read_to(&mut member, 199).await;
    // What was read and not committed may come again; nothing is left out.
    assert!(seen[0] <= 100);
    assert_eq!(seen, (seen[0]..200).collect::<Vec<_>>());
    member.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_that_partitions_are_lost_and_gets_them_back() {
    let kafka = OwnKafka::start(LONG_SESSION).await;
    topic(&kafka.options).await;
    write(&kafka.options, 0, 10).await;
    let mut member = member(&kafka.options);
    assert_eq!(read_to(&mut member, 9).await, (0..10).collect::<Vec<_>>());
    kafka.freeze();
    // After the session timeout the member knows that it is none any more.
    match member.event().await {
        ConsumerEvent::Lost(partitions) => assert_eq!(partitions.len(), 1),
        event => panic!("{event:?}"),
    }
    let mut reader = member.readers.pop_first().unwrap().1;
    assert!(soon(reader.next()).await.is_none());
    assert!(!reader.store(Offset(10)));
    kafka.thaw();
    write(&kafka.options, 10, 20).await;
    let seen = read_to(&mut member, 19).await;
    assert!(seen[0] <= 10);
    assert_eq!(seen, (seen[0]..20).collect::<Vec<_>>());

    // What cannot be committed is said, in time.
    write(&kafka.options, 20, 21).await;
    kafka.freeze();
    assert!(member.readers.values().next().unwrap().store(Offset(21)));
    let closing = member.consumer.close(Duration::from_secs(1));
    let closed = tokio::time::timeout(Duration::from_secs(5), closing).await;
    assert!(
        matches!(closed, Ok(Err(Error::Consume { .. }))),
        "{closed:?}"
    );
}
