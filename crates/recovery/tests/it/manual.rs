//! Handlers that acknowledge by themselves.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cdc_event::{Attempt, Failure, Record};
use recovery::{Acknowledgement, Manual, ManualHandler};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::cluster::{Sent, soon, until};
use crate::subject::{FAILED, Subject, error, fixed, text};

/// What a handler was given.
struct Taken {
    value: String,
    attempt: u32,
    acknowledgement: Acknowledgement,
}

/// Passes on what it takes.
struct PassOn(mpsc::Sender<Taken>);

impl ManualHandler for PassOn {
    async fn handle(
        &self,
        record: &Record,
        attempt: Attempt,
        acknowledgement: Acknowledgement,
    ) -> Result<(), Failure> {
        let taken = Taken {
            value: text(record),
            attempt: attempt.number.get(),
            acknowledgement,
        };
        self.0.send(taken).await.map_err(|_| failed())
    }
}

fn failed() -> Failure {
    Failure::transient(error(FAILED))
}

fn pass_on() -> (Manual<PassOn>, mpsc::Receiver<Taken>) {
    let (sender, taken) = mpsc::channel(64);
    (Manual::new(PassOn(sender)), taken)
}

async fn next(taken: &mut mpsc::Receiver<Taken>) -> Taken {
    soon(taken.recv()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_done_when_it_is_written_and_acknowledged() {
    const RECORDS: usize = 500;
    const BATCH: usize = 50;
    let mut subject = Subject::new("batches", 3, fixed(10, 1), &[]).await;
    subject.settings.concurrency = NonZeroUsize::new(BATCH).unwrap();
    let records: Vec<_> = (0..RECORDS)
        .map(|number| Sent::new((number % 3) as i32, &format!("k{number}"), number))
        .collect();
    subject.send(&records).await;
    let (handler, mut taken) = pass_on();
    let written = Arc::new(Mutex::new(Vec::new()));
    let mut writer = JoinSet::new();
    let batches = Arc::clone(&written);
    writer.spawn(async move {
        let mut batch = Vec::new();
        while let Some(first) = taken.recv().await {
            batch.push(first);
            let more = async {
                while batch.len() < BATCH
                    && let Some(next) = taken.recv().await
                {
                    batch.push(next);
                }
            };
            tokio::time::timeout(Duration::from_millis(50), more)
                .await
                .ok();
            let values = batch
                .iter()
                .map(|taken| taken.value.clone())
                .collect::<Vec<_>>();
            batches.lock().unwrap().push(values);
            for taken in batch.drain(..) {
                assert!(taken.acknowledgement.acknowledge());
            }
        }
    });
    let running = subject.start_handler(handler);
    subject.until_committed(RECORDS).await;
    running.stop().await;
    soon(writer.join_next()).await.unwrap().unwrap();
    let written = written.lock().unwrap();
    assert_eq!(written.iter().map(Vec::len).sum::<usize>(), RECORDS);
    assert!(
        written.iter().any(|batch| batch.len() > 1),
        "no batch at all"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_do_not_pass_a_record_that_is_not_acknowledged() {
    let subject = Subject::new("passing", 1, fixed(10, 1), &[]).await;
    let records: Vec<_> = (0..5)
        .map(|number| Sent::new(0, &format!("k{number}"), number))
        .collect();
    subject.send(&records).await;
    let (handler, mut taken) = pass_on();
    let running = subject.start_handler(handler);
    let mut all = Vec::new();
    while all.len() < 5 {
        all.push(next(&mut taken).await);
    }
    let held = all.remove(all.iter().position(|taken| taken.value == "2").unwrap());
    for taken in all {
        assert!(taken.acknowledgement.acknowledge());
    }
    subject.until_committed(2).await;
    // Many commit intervals later.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(subject.committed().await, [2]);
    assert_eq!(running.snapshot().held, 1);
    assert!(held.acknowledgement.acknowledge());
    subject.until_committed(5).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_and_a_dropped_acknowledgement_are_failed_attempts() {
    /// Fails before anything else at the first attempt, and after the acknowledgement at the last.
    struct Failing(PassOn);

    impl ManualHandler for Failing {
        async fn handle(
            &self,
            record: &Record,
            attempt: Attempt,
            acknowledgement: Acknowledgement,
        ) -> Result<(), Failure> {
            match attempt.number.get() {
                1 => Err(failed()),
                2 | 3 => self.0.handle(record, attempt, acknowledgement).await,
                _ => {
                    assert!(acknowledgement.acknowledge());
                    Err(failed())
                }
            }
        }
    }

    let subject = Subject::new("refused", 1, fixed(10, 5), &[]).await;
    subject.send(&[Sent::new(0, "k", "it")]).await;
    let (sender, mut taken) = mpsc::channel(64);
    let running = subject.start_handler(Manual::new(Failing(PassOn(sender))));
    let second = next(&mut taken).await;
    assert_eq!(second.attempt, 2);
    drop(second.acknowledgement);
    let third = next(&mut taken).await;
    assert_eq!(third.attempt, 3);
    assert!(third.acknowledgement.fail(failed()));
    subject.until_committed(1).await;
    assert_eq!(running.snapshot().succeeded, 1);
    running.stop().await;
    assert_eq!(subject.dead_letters().await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_had_its_effect_and_was_not_acknowledged_comes_again_after_a_crash() {
    let subject = Subject::new("effect", 1, fixed(10, 1), &[]).await;
    subject
        .send(&[Sent::new(0, "a", "first"), Sent::new(0, "a", "second")])
        .await;
    let (handler, mut taken) = pass_on();
    let running = subject.start_handler(handler);
    assert!(next(&mut taken).await.acknowledgement.acknowledge());
    let effect = next(&mut taken).await;
    assert_eq!(effect.value, "second");
    subject.until_committed(1).await;
    running.crash().await;
    until("the record is nobody's", || {
        effect.acknowledgement.is_late()
    })
    .await;
    assert!(!effect.acknowledgement.acknowledge());
    assert_eq!(subject.committed().await, [1]);

    let (handler, mut taken) = pass_on();
    let running = subject.start_handler(handler);
    let again = next(&mut taken).await;
    assert_eq!((again.value.as_str(), again.attempt), ("second", 1));
    assert!(again.acknowledgement.acknowledge());
    subject.until_committed(2).await;
    running.stop().await;
}
