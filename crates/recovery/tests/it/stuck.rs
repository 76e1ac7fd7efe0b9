//! What happens while failed records cannot be handed over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use cdc_event::HandlerError;
use cdc_kafka::TopicConfig;
use recovery::{BlockingRetry, Kept, LastResort, RefusedLetter, Snapshot};

use crate::cluster::{self, Sent, create, until};
use crate::subject::{FAILED, Reply, Subject, error, millis, text};

/// No dead letter fits.
async fn subject(label: &str) -> Subject {
    let subject = Subject::new(label, 1, BlockingRetry::None, &[]).await;
    create(
        &subject.dead_letter_topic(),
        1,
        TopicConfig::new().with("max.message.bytes", "100"),
    )
    .await;
    subject
}

fn script(record: &cdc_event::Record, _: cdc_event::Attempt) -> Reply {
    if text(record) == "poor" {
        Reply::poison()
    } else {
        Reply::success()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_with_the_key_only_and_loses_nothing() {
    let subject = subject("stuck").await;
    let mut records = vec![Sent::new(0, "bad", "poor"), Sent::new(0, "bad", "behind")];
    records.extend((0..500).map(|number| Sent::new(0, &format!("k{number}"), number)));
    subject.send(&records).await;
    let running = subject.start(script);
    subject.calls.reach_successes(500).await;
    until("it is said", || running.snapshot().stuck == 1).await;
    let stopping = Instant::now();
    running.stop().await;
    assert!(
        stopping.elapsed() < millis(4000),
        "{:?}",
        stopping.elapsed()
    );

    assert_eq!(subject.calls.of("poor").len(), 1, "no attempts meanwhile");
    assert_eq!(subject.calls.of("behind").len(), 0, "its key waits");
    assert_eq!(subject.committed().await, [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_waits_lets_others_go_on() {
    let mut subject = subject("room").await;
    subject.settings.concurrency = 4.try_into().unwrap();
    let mut records = vec![Sent::new(0, "bad", "poor")];
    records.extend((0..20_000).map(|number| Sent::new(0, &format!("k{}", number % 50), number)));
    subject.send(&records).await;
    let running = subject.start(script);
    subject.calls.reach_successes(20_000).await;
    until("only one is held", || running.snapshot().held == 1).await;
    running.stop().await;
    assert_eq!(subject.committed().await, [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_for_a_topic_that_is_gone() {
    let subject = Subject::new("gone", 1, BlockingRetry::None, &[]).await;
    let running = subject.start(script);
    until("all is assigned", || running.snapshot().partitions == 1).await;
    let topic = subject.dead_letter_topic();
    cluster::delete(std::slice::from_ref(&topic));
    subject
        .send(&[
            Sent::new(0, "bad", "poor"),
            Sent::new(0, "bad", "behind"),
            Sent::new(0, "good", "good"),
        ])
        .await;
    subject.calls.reach_successes(1).await;
    until("it is said", || running.snapshot().stuck == 1).await;
    assert_eq!(subject.committed().await, [0]);
    create(&topic, 1, TopicConfig::new()).await;
    until("a dead letter", || running.snapshot().dead_letters == 1).await;
    subject.calls.reach_successes(2).await;
    running.stop().await;
    assert_eq!(subject.dead_letters().await.len(), 1);
    assert_eq!(subject.committed().await, [3]);
}

/// Is away the first two times.
struct Store(Arc<AtomicU32>);

impl LastResort for Store {
    fn keep<'a>(&'a self, _: RefusedLetter<'a>) -> Kept<'a> {
        let time = self.0.fetch_add(1, Ordering::SeqCst);
        let result: Result<(), HandlerError> = if time < 2 { Err(error(FAILED)) } else { Ok(()) };
        Box::pin(std::future::ready(result))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn asks_the_last_resort_until_it_keeps_it() {
    let subject = subject("resort-away").await;
    subject.send(&[Sent::new(0, "bad", "poor")]).await;
    let times = Arc::new(AtomicU32::new(0));
    let running = subject.start_with(Store(Arc::clone(&times)), script);
    until("it is kept, and nothing stuck", || {
        let Snapshot {
            dead_letters,
            stuck,
            ..
        } = running.snapshot();
        dead_letters == 1 && stuck == 0
    })
    .await;
    running.stop().await;
    assert_eq!(times.load(Ordering::SeqCst), 3);
    assert_eq!(subject.committed().await, [1]);
}
