//! Coming into a group, leaving it, and being thrown out.

use std::time::Duration;

use cdc_kafka::{
    ConsumerEvent, ConsumerSettings, Disposition, Error, GroupConsumer, KafkaOptions, Offset, Start,
};

use super::setup::{TestGroup, number, until};
use crate::setup::{DEADLINE, brokers, soon};

#[tokio::test(flavor = "multi_thread")]
async fn close_commits_what_is_stored_and_leaves() {
    let group = TestGroup::create("close", 2).await;
    group.write(0, 0, 10).await;
    let mut settings = group.settings();
    settings.commit_interval = Duration::from_secs(3600);
    let mut member = group.join_with(&settings);
    member.assigned(2).await;
    member.next(0).await;
    assert!(member.reader(0).store(Offset(7)));
    assert!(member.reader(0).store(Offset(3)), "which changes nothing");
    assert_eq!(group.committed().await.get(&0), None);
    let mut reader = member.readers.remove(&group.partition(0)).unwrap();
    member.close().await;
    assert_eq!(group.committed().await.get(&0), Some(&7));
    assert!(soon(reader.next()).await.is_none());
    assert!(!reader.store(Offset(8)));
    assert_eq!(reader.committed(), Some(Offset(7)));

    // The group is empty: nobody's session has to run out first.
    let mut next = group.join();
    tokio::time::timeout(Duration::from_secs(5), next.assigned(2))
        .await
        .unwrap();
    assert_eq!(next.next(0).await.offset, Offset(7));
    next.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_what_is_stored_after_the_interval() {
    let group = TestGroup::create("commit", 1).await;
    group.write(0, 0, 10).await;
    let mut member = group.join();
    member.assigned(1).await;
    assert_eq!(member.reader(0).committed(), None);
    let store = member.reader(0).offset_store();
    assert!(store.store(Offset(4)));
    until(async || group.committed().await.get(&0) == Some(&4)).await;
    until(async || store.committed() == Some(Offset(4))).await;
    member.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_the_group_when_it_is_dropped() {
    let group = TestGroup::create("drop", 1).await;
    group.write(0, 0, 10).await;
    let mut member = group.join();
    member.assigned(1).await;
    assert!(member.reader(0).store(Offset(4)));
    drop(member.consumer);
    let mut next = group.join();
    tokio::time::timeout(Duration::from_secs(5), next.assigned(1))
        .await
        .unwrap();
    assert_eq!(next.next(0).await.offset, Offset(4));
    next.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_member_gets_its_partitions_back_unnoticed() {
    let group = TestGroup::create("static", 2).await;
    let settings = |id: &str| ConsumerSettings {
        instance_id: Some(id.into()),
        ..group.settings()
    };
    let mut first = group.join_with(&settings("first"));
    first.assigned(2).await;
    let mut second = group.join_with(&settings("second"));
    match first.event().await {
        ConsumerEvent::Revoking(revocation) => revocation.done(),
        event => panic!("{event:?}"),
    }
    second.assigned(1).await;
    let kept = second.numbers();

    let mine: Vec<_> = (0..2).filter(|number| !kept.contains(number)).collect();
    first.close().await;
    let mut again = group.join_with(&settings("first"));
    again.assigned(1).await;
    assert_eq!(again.numbers(), mine);
    // Many heartbeats later.
    let noticed = tokio::time::timeout(Duration::from_secs(1), second.consumer.event()).await;
    assert!(noticed.is_err(), "{noticed:?}");
    group.write(kept[0], 0, 1).await;
    assert_eq!(number(&second.next(kept[0]).await), 0);
    again.close().await;
    second.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_with_its_instance_id_ends_the_first() {
    let group = TestGroup::create("fenced", 1).await;
    let settings = ConsumerSettings {
        instance_id: Some("one".into()),
        ..group.settings()
    };
    let mut first = group.join_with(&settings);
    first.assigned(1).await;
    let mut second = group.join_with(&settings);
    let error = match first.event().await {
        ConsumerEvent::Failed(error) => error,
        event => panic!("{event:?}"),
    };
    assert!(matches!(error, Error::Fatal { .. }), "{error:?}");
    assert_eq!(error.disposition(), Disposition::Permanent);
    assert!(!first.reader(0).store(Offset(1)));
    assert!(soon(first.reader(0).next()).await.is_none());
    soon(first.consumer.close(DEADLINE)).await.unwrap();
    second.assigned(1).await;
    second.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_starts_at_the_end_skips_nothing_later() {
    let group = TestGroup::create("latest", 1).await;
    group.write(0, 0, 10).await;
    let settings = ConsumerSettings {
        start: Start::Latest,
        ..group.settings()
    };
    let mut member = group.join_with(&settings);
    member.assigned(1).await;
    assert_eq!(member.reader(0).committed_at_assignment(), None);
    member.close().await;
    assert_eq!(group.committed().await.get(&0), Some(&10));

    group.write(0, 10, 12).await;
    let mut member = group.join_with(&settings);
    member.assigned(1).await;
    assert_eq!(number(&member.next(0).await), 10);
    member.close().await;
}

#[tokio::test]
async fn closes_in_time_when_there_is_no_broker() {
    let options = KafkaOptions::new("127.0.0.1:1");
    let settings = ConsumerSettings::new("g", vec!["t".into()]);
    let mut consumer = GroupConsumer::start(&options, &settings).unwrap();
    match soon(consumer.event()).await {
        ConsumerEvent::Trouble(error) => {
            assert_eq!(error.disposition(), Disposition::Transient);
            assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
        }
        event => panic!("{event:?}"),
    }
    consumer.close(Duration::from_secs(3)).await.unwrap();
}

#[tokio::test]
async fn refuses_settings_that_cannot_be_meant() {
    let settings = ConsumerSettings::new("g", Vec::new());
    let error = GroupConsumer::start(&KafkaOptions::new(brokers()), &settings).unwrap_err();
    assert!(matches!(error, Error::InvalidConsumer { .. }), "{error:?}");
}
