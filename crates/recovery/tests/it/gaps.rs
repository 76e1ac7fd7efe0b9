//! Offsets that are no records.

use std::time::Duration;

use cdc_event::Sequence;
use cdc_kafka::{
    ConsumerEvent, ConsumerSettings, GroupConsumer, Limits, Offset, OutgoingRecord, Partition,
    TransactionTimeout, TransactionalId, TransactionalProducer,
};
use recovery::BlockingRetry;

use crate::cluster::{self, DEADLINE, Sent, soon, until};
use crate::subject::{Reply, Subject, fixed, millis, text};

/// Writes each of these in a transaction of its own; what is `None` is written and taken back.
async fn transactions(topic: &str, values: &[Option<&str>]) {
    let id = TransactionalId::new(topic.to_owned()).unwrap();
    let timeout = TransactionTimeout::new(Duration::from_secs(60)).unwrap();
    let options = cluster::options();
    let opening = TransactionalProducer::open(&options, Limits::default(), &id, timeout, DEADLINE);
    let mut producer = opening.await.unwrap();
    for (number, value) in (0..).zip(values) {
        producer.begin().unwrap();
        let record = OutgoingRecord {
            topic,
            partition: Some(Partition(0)),
            key: Some(b"k"),
            value: Some(value.unwrap_or("taken back").as_bytes()),
            headers: &[],
            timestamp: None,
        };
        producer.try_send(record, Sequence::new(number)).unwrap();
        if value.is_some() {
            soon(producer.commit()).await.unwrap();
        } else {
            // So that it is there to be left out.
            soon(producer.producer().delivered()).await;
            soon(producer.abort()).await.unwrap();
        }
        producer.producer().take_deliveries(&mut Vec::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_fail_before_a_gap_are_done_and_committed_like_others() {
    let subject = Subject::new("gaps", 1, fixed(20, 1), &[millis(200)]).await;
    let values = [
        Some("poor"),
        None,
        None,
        Some("good"),
        None,
        Some("poor"),
        None,
    ];
    transactions(&subject.topic, &values).await;
    let running = subject.start(|record, attempt| {
        if text(record) == "poor" && attempt.number.get() < 3 {
            Reply::transient()
        } else {
            Reply::success()
        }
    });
    subject.calls.reach_successes(3).await;
    until("nothing is held", || running.snapshot().held == 0).await;
    // A record and a mark for each: the last record is at 10, and behind it are only marks and what was taken back.
    soon(async {
        while subject.committed().await[0] < 11 {
            tokio::time::sleep(millis(20)).await;
        }
    })
    .await;
    running.stop().await;
    let again = subject.start(|_, _| Reply::success());
    until("it is assigned", || again.snapshot().partitions == 1).await;
    subject.send(&[Sent::new(0, "k", "later")]).await;
    subject.calls.reach_successes(4).await;
    again.stop().await;
    let offsets = subject
        .calls
        .all()
        .into_iter()
        .filter(|call| call.succeeded);
    let mut offsets: Vec<_> = offsets.map(|call| call.record.origin.offset).collect();
    offsets.sort_unstable();
    assert_eq!(offsets, [0, 6, 10, 14], "each once, and nothing else");
}

/// As after a topic that was made anew, or by hand.
async fn commit(subject: &Subject, offset: Offset) {
    let settings = ConsumerSettings::new(&subject.settings.group, vec![subject.topic.clone()]);
    let mut member = GroupConsumer::start(&cluster::options(), &settings).unwrap();
    let readers = match soon(member.event()).await {
        ConsumerEvent::Assigned(readers) => readers,
        event => panic!("{event:?}"),
    };
    assert!(readers[0].store(offset));
    soon(member.close(DEADLINE)).await.unwrap();
    assert_eq!(subject.committed().await, [offset.0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_behind_the_end_means_that_the_topic_is_read_from_its_beginning() {
    let subject = Subject::new("behind-end", 1, BlockingRetry::None, &[]).await;
    subject.send(&[Sent::new(0, "k", "first")]).await;
    commit(&subject, Offset(1_000)).await;
    let running = subject.start(|_, _| Reply::success());
    subject.calls.reach_successes(1).await;
    subject.send(&[Sent::new(0, "k", "second")]).await;
    subject.calls.reach_successes(2).await;
    soon(async {
        while subject.committed().await != [2] {
            tokio::time::sleep(millis(20)).await;
        }
    })
    .await;
    running.stop().await;
    let handled: Vec<_> = subject.calls.all().iter().map(|call| call.text()).collect();
    assert_eq!(handled, ["first", "second"]);
}
