//! Topics that come, go, or lose their records.

use cdc_kafka::{ConsumerEvent, ConsumerSettings, Disposition, Offset, TopicSettings, Topics};

use super::setup::{Member, TestGroup, delete_before, number};
use crate::setup::{DEADLINE, TestTopic, delete_topic, soon, unique_name};

#[tokio::test(flavor = "multi_thread")]
async fn waits_for_a_topic_that_is_created_later() {
    let group = TestGroup::create("first", 1).await;
    let late = unique_name("late");
    let settings = ConsumerSettings {
        topics: vec![late.clone(), group.topic.name.clone()],
        ..group.settings()
    };
    let mut member = Member::start(&group.options, &settings);
    let (mut trouble, mut assigned) = (None, 0);
    soon(async {
        while trouble.is_none() || assigned == 0 {
            match member.consumer.event().await {
                ConsumerEvent::Trouble(error) => trouble = Some(error),
                ConsumerEvent::Assigned(readers) => assigned += readers.len(),
                event => panic!("{event:?}"),
            }
        }
    })
    .await;
    let trouble = trouble.unwrap();
    assert!(trouble.to_string().contains(&late), "{trouble}");
    assert_eq!(trouble.disposition(), Disposition::Transient);
    assert_eq!(assigned, 1, "the other one is read meanwhile");

    let topics = Topics::new(group.options.clone(), DEADLINE);
    let one = TopicSettings {
        partitions: 1,
        replication_factor: -1,
    };
    topics
        .ensure(std::slice::from_ref(&late), one)
        .await
        .unwrap();
    member.assigned(1).await;
    assert_eq!(member.readers.first_key_value().unwrap().1.topic(), late);
    member.close().await;
    delete_topic(&late);
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_with_other_topics_when_one_is_deleted() {
    let group = TestGroup::create("kept", 1).await;
    let doomed = TestTopic::create("doomed", 1).await;
    let topics = vec![doomed.name.clone(), group.topic.name.clone()];
    let mut member = Member::start(
        &group.options,
        &ConsumerSettings {
            topics,
            ..group.settings()
        },
    );
    member.assigned(2).await;
    delete_topic(&doomed.name);
    match member.event().await {
        ConsumerEvent::Lost(partitions) => {
            assert_eq!(partitions.len(), 1);
            assert_eq!(&*partitions[0].topic, doomed.name);
        }
        event => panic!("{event:?}"),
    }
    member
        .readers
        .retain(|partition, _| *partition.topic == *group.topic.name);
    group.write(0, 0, 3).await;
    for expected in 0..3 {
        assert_eq!(number(&member.next(0).await), expected);
    }
    assert!(member.reader(0).store(Offset(3)));
    member.close().await;
    assert_eq!(group.committed().await.get(&0), Some(&3));
}

#[tokio::test(flavor = "multi_thread")]
async fn finds_partitions_that_are_added() {
    use rdkafka::admin::{AdminOptions, NewPartitions};
    let group = TestGroup::create("grown", 1).await;
    let mut member = group.join();
    member.assigned(1).await;
    let grown = [NewPartitions::new(&group.topic.name, 2)];
    group
        .admin()
        .create_partitions(&grown, &AdminOptions::new())
        .await
        .unwrap();
    member.assigned(2).await;
    assert_eq!(member.numbers(), [0, 1]);
    member.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_at_the_earliest_record_when_that_of_its_offset_is_gone() {
    let group = TestGroup::create("expired", 1).await;
    group.write(0, 0, 100).await;
    let mut member = group.join();
    member.assigned(1).await;
    assert!(member.reader(0).store(Offset(5)));
    member.close().await;

    delete_before(&group, 0, Offset(50)).await;
    let mut member = group.join();
    member.assigned(1).await;
    assert_eq!(member.reader(0).committed_at_assignment(), Some(Offset(5)));
    let record = member.next(0).await;
    assert_eq!((record.offset, number(&record)), (Offset(50), 50));
    member.close().await;
}
