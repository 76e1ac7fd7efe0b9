//! Dead-letter topics that are not as they should be.

use std::sync::{Arc, Mutex};

use cdc_event::KafkaPosition;
use cdc_kafka::{KafkaOptions, TopicConfig};
use recovery::{
    BlockingRetry, DeadLetterTemplate, Disposition, Error, Kept, LastResort, RefusedLetter, Runner,
};
use tokio_util::sync::CancellationToken;

use crate::cluster::{self, Sent, create, partitions, soon, until};
use crate::subject::{FAILED, Reply, Subject, fixed, millis, text};

struct Store(Arc<Mutex<Vec<KafkaPosition>>>);

impl LastResort for Store {
    fn keep<'a>(&'a self, refused: RefusedLetter<'a>) -> Kept<'a> {
        Box::pin(async move {
            assert_eq!(refused.failed.report.code, FAILED);
            self.0.lock().unwrap().push(refused.record.origin.clone());
            Ok(())
        })
    }
}

/// Bytes that do not compress, the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn makes_topics_with_the_partitions_of_their_source() {
    let subject = Subject::new("made", 3, BlockingRetry::None, &[millis(50); 2]).await;
    let running = subject.start(|_, _| Reply::success());
    until("all is assigned", || {
        let snapshot = running.snapshot();
        (snapshot.partitions, snapshot.retry_partitions) == (3, 6)
    })
    .await;
    running.stop().await;
    for topic in [
        subject.retry_topic(1),
        subject.retry_topic(2),
        subject.dead_letter_topic(),
    ] {
        assert_eq!(partitions(&topic).await, Some(3), "{topic}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_to_start_without_a_topic_that_it_may_not_make() {
    let mut subject = Subject::new("missing", 1, BlockingRetry::None, &[]).await;
    subject.settings.creation = None;
    let error = subject
        .start(|_, _| Reply::success())
        .end()
        .await
        .unwrap_err();
    let Error::MissingTopic { topic } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*topic, subject.retry_topic(1));
    assert_eq!(error.disposition(), Disposition::Permanent);
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_for_a_source_that_comes_later() {
    let mut subject = Subject::new("later", 1, BlockingRetry::None, &[]).await;
    let late = cluster::unique_name("late");
    subject.settings.topics.push(late.clone());
    subject.send(&[Sent::new(0, "k", "early")]).await;
    let running = subject.start(|record, _| {
        if text(record) == "poor" {
            Reply::poison()
        } else {
            Reply::success()
        }
    });
    subject.calls.reach_successes(1).await;
    create(&late, 2, TopicConfig::new()).await;
    cluster::send(&late, &[Sent::new(1, "k", "poor")]).await;
    until("a dead letter", || running.snapshot().dead_letters == 1).await;
    running.stop().await;
    subject.owns(&late);
    let dead = subject.settings.names().unwrap().sources()[1]
        .dead_letter
        .clone();
    assert_eq!(cluster::read(&dead).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_with_fewer_partitions_takes_them_by_the_remainder() {
    let subject = Subject::new("fewer", 5, BlockingRetry::None, &[]).await;
    create(&subject.dead_letter_topic(), 2, TopicConfig::new()).await;
    let records: Vec<_> = (0..5)
        .map(|number| Sent::new(number, "k", number))
        .collect();
    subject.send(&records).await;
    let running = subject.start(|_, _| Reply::poison());
    until("all dead letters", || running.snapshot().dead_letters == 5).await;
    running.stop().await;
    let mut dead: Vec<_> = subject
        .dead_letters()
        .await
        .iter()
        .map(|dead| (dead.partition, dead.text()))
        .collect();
    dead.sort();
    let expected = [(0, "0"), (0, "2"), (0, "4"), (1, "1"), (1, "3")]
        .map(|(partition, text)| (partition, text.to_owned()));
    assert_eq!(dead, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn says_less_of_a_failure_rather_than_not_to_fit() {
    let subject = Subject::new("less", 1, BlockingRetry::None, &[]).await;
    let limit = TopicConfig::new().with("max.message.bytes", "8000");
    create(&subject.dead_letter_topic(), 1, limit).await;
    let mut record = Sent::new(0, "k", "");
    record.value = Some(noise(5000));
    subject.send(std::slice::from_ref(&record)).await;
    let running = subject.start(|_, _| {
        let long = noise(9000)
            .into_iter()
            .map(|byte| char::from(b'!' + byte % 90))
            .collect::<String>();
        let error = cdc_event::HandlerError::new(FAILED, long);
        Reply::now(Err(cdc_event::Failure::poison(error)))
    });
    until("a dead letter", || running.snapshot().dead_letters == 1).await;
    running.stop().await;
    let dead = subject.dead_letters().await.remove(0);
    assert_eq!(dead.value, record.value);
    assert!((100..=250).contains(&dead.header("kafka_dlt-exception-message").unwrap().len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_at_all_goes_to_the_last_resort() {
    let subject = Subject::new("resort", 1, BlockingRetry::None, &[]).await;
    let limit = TopicConfig::new().with("max.message.bytes", "4000");
    create(&subject.dead_letter_topic(), 1, limit).await;
    let mut large = Sent::new(0, "k", "");
    large.value = Some(noise(6000));
    subject.send(&[large, Sent::new(0, "k", "small")]).await;
    let kept = Arc::new(Mutex::new(Vec::new()));
    let running = subject.start_with(Store(Arc::clone(&kept)), |_, _| Reply::poison());
    until("both are dealt with", || {
        running.snapshot().dead_letters == 2
    })
    .await;
    running.stop().await;
    assert_eq!(
        *kept.lock().unwrap(),
        [crate::subject::at(&subject.topic, 0, 0)]
    );
    assert_eq!(subject.dead_letters().await.len(), 1);
    assert_eq!(subject.committed().await, [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_too_large_for_a_retry_topic_is_a_dead_letter() {
    let subject = Subject::new("too-large", 1, BlockingRetry::None, &[millis(50)]).await;
    create(
        &subject.retry_topic(1),
        1,
        TopicConfig::new().with("max.message.bytes", "4000"),
    )
    .await;
    let mut large = Sent::new(0, "k", "");
    large.value = Some(noise(6000));
    subject.send(&[large]).await;
    let running = subject.start(|_, _| Reply::transient());
    until("a dead letter", || running.snapshot().dead_letters == 1).await;
    running.stop().await;
    assert_eq!(subject.calls.count(), 1);
    assert_eq!(subject.dead_letters().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_the_largest_size_of_its_topic_becomes_a_dead_letter() {
    let mut subject = Subject::new("largest", 1, fixed(10, 1), &[millis(50)]).await;
    let topic = cluster::unique_name("large");
    create(
        &topic,
        1,
        TopicConfig::new().with("max.message.bytes", "3000000"),
    )
    .await;
    subject.owns(&topic);
    subject.settings.topics = vec![topic.clone()];
    subject.settings.dead_letter = DeadLetterTemplate::parse("{topic}-dlt").unwrap();
    let mut options = cluster::options();
    options
        .producer
        .insert("message.max.bytes".into(), "3000000".into());
    let mut large = Sent::new(0, "k", "");
    large.value = Some(noise(2_990_000));
    cluster::send_with(&options, &topic, &[large.clone()]).await;
    let running = subject.start(|_, _| Reply::transient());
    until("a dead letter", || running.snapshot().dead_letters == 1).await;
    running.stop().await;
    assert_eq!(subject.calls.count(), 3);
    let dead = subject.dead_letters().await;
    assert_eq!(dead.len(), 1);
    assert!(dead[0].value == large.value);
}

#[tokio::test]
async fn stops_while_it_waits_for_kafka() {
    let subject = Subject::new("away", 1, BlockingRetry::None, &[]).await;
    struct Never;
    impl cdc_event::Handler for Never {
        async fn handle(
            &self,
            _: &cdc_event::Record,
            _: cdc_event::Attempt,
        ) -> Result<(), cdc_event::Failure> {
            unreachable!("nothing can be read")
        }
    }
    let nobody = KafkaOptions::new("127.0.0.1:1");
    let runner = Runner::new(nobody, subject.settings.clone(), Never).unwrap();
    let stop = CancellationToken::new();
    let stopping = async {
        tokio::time::sleep(millis(100)).await;
        stop.cancel();
    };
    let (ended, ()) = soon(async { tokio::join!(runner.run(stop.clone()), stopping) }).await;
    ended.unwrap();
}
