//! Transactions, as a group sees them and as it takes part in them.

use std::time::Duration;

use cdc_event::Sequence;
use cdc_kafka::{
    ConsumerEvent, ConsumerSettings, Limits, Offset, TransactionError, TransactionTimeout,
    TransactionalId, TransactionalProducer,
};

use super::setup::{Member, TestGroup};
use crate::setup::{DEADLINE, TestTopic, record, unique_name};

async fn producer(group: &TestGroup) -> TransactionalProducer {
    let id = TransactionalId::new(unique_name("tx")).unwrap();
    let timeout = TransactionTimeout::new(Duration::from_secs(30)).unwrap();
    TransactionalProducer::open(&group.options, Limits::default(), &id, timeout, DEADLINE)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn sees_nothing_of_a_transaction_that_is_aborted() {
    let group = TestGroup::create("aborted", 1).await;
    let mut producer = producer(&group).await;
    for (number, value) in ["one", "two", "three"].into_iter().enumerate() {
        producer.begin().unwrap();
        let sequence = Sequence::new(number as u64);
        producer
            .try_send(record(&group.topic.name, b"k", value.as_bytes()), sequence)
            .unwrap();
        if value == "two" {
            // It is in the log: only the mark behind it says that it does not count.
            while producer.producer().in_flight().records > 0 {
                producer.producer().delivered().await;
                producer.producer().take_deliveries(&mut Vec::new());
            }
            producer.abort().await.unwrap();
        } else {
            producer.commit().await.unwrap();
        }
    }
    let mut member = group.join();
    member.assigned(1).await;
    for expected in ["one", "three"] {
        assert_eq!(
            member.next(0).await.value.as_deref(),
            Some(expected.as_bytes())
        );
    }
    member.close().await;
    assert!(producer.close(DEADLINE).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_committed_with_a_transaction_or_not_at_all() {
    let group = TestGroup::create("offsets", 1).await;
    let target = TestTopic::create("target", 1).await;
    group.write(0, 0, 10).await;
    let mut member = group.join();
    member.assigned(1).await;
    let mut producer = producer(&group).await;
    let offsets = |next| vec![(group.partition(0), Offset(next))];

    producer.begin().unwrap();
    producer
        .try_send(record(&target.name, b"k", b"v"), Sequence::new(0))
        .unwrap();
    producer
        .set_offsets(offsets(4), member.consumer.group_metadata().unwrap())
        .unwrap();
    producer.commit().await.unwrap();
    assert_eq!(group.committed().await.get(&0), Some(&4));

    producer.begin().unwrap();
    producer
        .set_offsets(offsets(6), member.consumer.group_metadata().unwrap())
        .unwrap();
    producer.abort().await.unwrap();
    producer.begin().unwrap();
    producer
        .try_send(record(&target.name, b"k", b"v"), Sequence::new(1))
        .unwrap();
    producer.commit().await.unwrap();
    assert_eq!(
        group.committed().await.get(&0),
        Some(&4),
        "nothing of the one before"
    );
    assert!(
        producer
            .set_offsets(offsets(9), member.consumer.group_metadata().unwrap())
            .is_err()
    );
    member.close().await;
    assert!(producer.close(DEADLINE).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_of_a_member_of_an_earlier_generation_are_refused() {
    let group = TestGroup::create("zombie", 2).await;
    let mut first = group.join();
    first.assigned(2).await;
    let metadata = first.consumer.group_metadata().unwrap();
    let mut second: Member = group.join_with(&ConsumerSettings { ..group.settings() });
    match first.event().await {
        ConsumerEvent::Revoking(revocation) => revocation.done(),
        event => panic!("{event:?}"),
    }
    second.assigned(1).await;

    let mut producer = producer(&group).await;
    producer.begin().unwrap();
    producer
        .set_offsets(
            vec![(group.partition(second.numbers()[0]), Offset(1))],
            metadata,
        )
        .unwrap();
    let refused = producer.commit().await.unwrap_err();
    assert!(
        matches!(refused, TransactionError::Abortable(_)),
        "{refused:?}"
    );
    producer.abort().await.unwrap();
    assert!(group.committed().await.is_empty());
    first.close().await;
    second.close().await;
    assert!(producer.close(DEADLINE).await);
}
