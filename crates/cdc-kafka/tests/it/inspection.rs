//! What a cluster is set to.

use cdc_kafka::{Error, Inspection, KafkaOptions, TopicSettings};

use crate::setup::{DEADLINE, TestTopic, brokers, soon, unique_name};

fn inspection() -> Inspection {
    Inspection::new(KafkaOptions::new(brokers()), DEADLINE)
}

#[tokio::test]
async fn finds_the_settings_of_brokers_and_of_the_topics_asked_for() {
    let first = TestTopic::create("inspected", 3).await;
    let second = TestTopic::create("inspected", 1).await;
    let names = [first.name.clone(), second.name.clone()];
    let found = soon(inspection().look(move |name| names.contains(&name.to_owned()), 1))
        .await
        .unwrap();
    assert_eq!((found.brokers, found.left_out), (1, 1), "{found:?}");
    let [topic] = &found.topics[..] else {
        panic!("one topic: {found:?}")
    };
    let expected = if first.name < second.name {
        &first
    } else {
        &second
    };
    assert_eq!(topic.topic, expected.name);
    assert_eq!(
        topic.partitions,
        usize::try_from(expected.partitions).unwrap()
    );
    assert_eq!(
        (topic.replicas, topic.in_sync, topic.without_leader),
        (1, 1, 0)
    );
    let settings = topic.settings.as_ref().unwrap();
    assert_eq!(settings.get("cleanup.policy"), Some("delete"));
    assert_eq!(settings.number("min.insync.replicas"), Some(1));
    let broker = found.broker.unwrap();
    assert!(
        broker.number("message.max.bytes") > Some(1000),
        "{broker:?}"
    );
}

#[tokio::test]
async fn asks_about_a_new_topic_without_creating_it() {
    let name = unique_name("never");
    let settings = TopicSettings {
        partitions: 2,
        replication_factor: -1,
    };
    inspection().may_create(&name, settings).await.unwrap();
    let more = TopicSettings {
        replication_factor: 99,
        ..settings
    };
    let refused = inspection().may_create(&name, more).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Topic { topic, .. } if *topic == name),
        "{refused:?}"
    );
    let wanted = name.clone();
    let found = inspection()
        .look(move |topic| topic == wanted, 1)
        .await
        .unwrap();
    assert!(found.topics.is_empty(), "{found:?}");
}

#[test]
fn knows_the_largest_record_of_a_producer() {
    let mut options = KafkaOptions::new("localhost:9092");
    assert_eq!(options.message_max_bytes(), 1_000_000);
    let set = |bytes: &str| [("message.max.bytes".to_owned(), bytes.to_owned())].into();
    options.client = set("5000");
    assert_eq!(options.message_max_bytes(), 5_000);
    options.producer = set("6000");
    assert_eq!(options.message_max_bytes(), 6_000);
}
