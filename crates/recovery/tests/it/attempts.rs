//! How often a record is tried.

use std::time::Duration;

use cdc_event::{ErrorCode, Failure, Headers};
use recovery::{BlockingRetry, CodePolicy, CodeRetry, DeadLetterTemplate, Error, HandlerStopped};

use crate::cluster::{self, Sent, until};
use crate::subject::{FAILED, Reply, Subject, error, fixed, millis, text};

#[tokio::test(flavor = "multi_thread")]
async fn tries_as_often_as_planned_then_writes_a_dead_letter() {
    let subject = Subject::new("planned", 1, fixed(50, 2), &[]).await;
    let mut poor = Sent::new(0, "k", "poor");
    poor.headers.push("own", Some(b"1".to_vec()));
    poor.headers.push("none", None);
    poor.timestamp_ms = Some(1_700_000_000_123);
    subject
        .send(&[poor.clone(), Sent::new(0, "k", "good")])
        .await;
    let running = subject.start(|record, _| {
        if text(record) == "poor" {
            Reply::transient()
        } else {
            Reply::success()
        }
    });
    subject.calls.reach_successes(1).await;
    running.stop().await;

    let attempts: Vec<_> = subject
        .calls
        .of("poor")
        .iter()
        .map(|call| call.attempt.number.get())
        .collect();
    assert_eq!(attempts, [1, 2, 3]);
    assert_eq!(subject.calls.count(), 4);
    let dead = subject.dead_letters().await;
    assert_eq!(dead.len(), 1);
    let dead = &dead[0];
    assert_eq!(
        (&dead.key, &dead.value, dead.timestamp_ms),
        (&poor.key, &poor.value, poor.timestamp_ms)
    );
    assert_eq!(dead.headers.as_slice()[..2], *poor.headers.as_slice());
    assert_eq!(
        dead.header("kafka_dlt-original-topic"),
        Some(subject.topic.clone().into_bytes())
    );
    assert_eq!(
        dead.header("kafka_dlt-original-offset"),
        Some(0_i64.to_be_bytes().to_vec())
    );
    assert_eq!(dead.header("cdc-error-code"), Some(b"failed".to_vec()));
    assert_eq!(subject.committed().await, [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_retries_the_first_failure_is_a_dead_letter() {
    let subject = Subject::new("none", 1, BlockingRetry::None, &[]).await;
    subject.send(&[Sent::new(0, "k", "poor")]).await;
    let running = subject.start(|_, _| Reply::transient());
    until("a dead letter", || running.snapshot().dead_letters == 1).await;
    running.stop().await;
    assert_eq!(subject.calls.count(), 1);
    assert_eq!(subject.dead_letters().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_a_dead_letter_at_once() {
    let subject = Subject::new("poison", 1, fixed(10, 5), &[millis(10)]).await;
    subject
        .send(&[Sent::new(0, "k", "poor"), Sent::new(0, "k", "good")])
        .await;
    let running = subject.start(|record, _| {
        if text(record) == "poor" {
            Reply::poison()
        } else {
            Reply::success()
        }
    });
    subject.calls.reach_successes(1).await;
    running.stop().await;
    assert_eq!(subject.calls.count(), 2);
    assert_eq!(subject.dead_letters().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_the_attempts_of_each_record_by_itself() {
    // Failures of two partitions and several keys take turns, and successes come between them.
    let subject = Subject::new("interleaved", 2, fixed(5, 3), &[]).await;
    let mut records = Vec::new();
    for number in 0..20 {
        let kind = if number % 3 == 0 { "poor" } else { "good" };
        records.push(Sent::new(
            number % 2,
            &format!("k{}", number % 5),
            format!("{kind}-{number}"),
        ));
    }
    subject.send(&records).await;
    let running = subject.start(|record, _| {
        if text(record).starts_with("poor") {
            Reply::transient().after(millis(1))
        } else {
            Reply::success()
        }
    });
    until("all dealt with", || {
        let snapshot = running.snapshot();
        snapshot.dead_letters == 7 && snapshot.succeeded == 13
    })
    .await;
    running.stop().await;
    for record in &records {
        let attempts = subject.calls.of(&record.text()).len();
        assert_eq!(
            attempts,
            if record.text().starts_with("poor") {
                4
            } else {
                1
            },
            "{}",
            record.text()
        );
    }
    assert_eq!(subject.dead_letters().await.len(), 7);
    assert_eq!(subject.committed().await, [10, 10]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_has_its_own_policy_and_its_own_dead_letters() {
    let mut subject = Subject::new("code", 1, fixed(10, 3), &[]).await;
    let bad = format!("{}.bad", subject.topic);
    subject.owns(&bad);
    let dead_letter = DeadLetterTemplate::parse("{topic}.bad").ok();
    let policy = CodePolicy {
        retry: CodeRetry::Never,
        dead_letter,
    };
    subject.settings.retry = subject
        .settings
        .retry
        .clone()
        .with_code(FAILED, policy)
        .unwrap();
    subject
        .send(&[Sent::new(0, "k", "poor"), Sent::new(0, "k", "other")])
        .await;
    let running = subject.start(|record, _| {
        if text(record) == "poor" {
            Reply::transient()
        } else {
            let error = error(ErrorCode::from_static("without-a-policy"));
            Reply::now(Err(Failure::transient(error)))
        }
    });
    until("both are dead", || running.snapshot().dead_letters == 2).await;
    running.stop().await;
    let attempts = ["poor", "other"].map(|value| subject.calls.of(value).len());
    assert_eq!(attempts, [1, 4]);
    let letters = [cluster::read(&bad).await, subject.dead_letters().await];
    let letters = letters.map(|letters| letters.iter().map(Sent::text).collect::<Vec<_>>());
    assert_eq!(letters, [["poor"], ["other"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_changes_from_attempt_to_attempt_does_not_begin_the_count_anew() {
    const OTHER: ErrorCode = ErrorCode::from_static("something-else");
    let subject = Subject::new("changing", 1, fixed(10, 2), &[millis(50)]).await;
    subject.send(&[Sent::new(0, "k", "poor")]).await;
    let running = subject.start(|_, attempt| {
        let code = if attempt.number.get() % 2 == 0 {
            OTHER
        } else {
            FAILED
        };
        Reply::now(Err(Failure::transient(error(code))))
    });
    until("a dead letter", || running.snapshot().dead_letters == 1).await;
    running.stop().await;
    let calls = subject.calls.of("poor");
    let attempts: Vec<_> = calls.iter().map(|call| call.attempt.number.get()).collect();
    // Three in its place, one after the delay of the retry topic.
    assert_eq!(attempts, [1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_failure_of_that_record() {
    let subject = Subject::new("panic", 1, fixed(10, 2), &[]).await;
    subject
        .send(&[Sent::new(0, "a", "poor"), Sent::new(0, "b", "good")])
        .await;
    let running = subject.start(|record, _| {
        assert_ne!(text(record), "poor", "a mistake");
        Reply::success()
    });
    until("all dealt with", || {
        let snapshot = running.snapshot();
        snapshot.dead_letters == 1 && snapshot.succeeded == 1
    })
    .await;
    running.stop().await;
    assert_eq!(subject.calls.of("poor").len(), 3);
    let dead = subject.dead_letters().await.remove(0);
    assert_eq!(
        dead.header("cdc-error-code"),
        Some(b"handler-panicked".to_vec())
    );
    let message = dead.header("kafka_dlt-exception-message").unwrap();
    assert!(String::from_utf8_lossy(&message).contains("a mistake"));
    assert_eq!(subject.committed().await, [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fatal_error_ends_the_runner_and_commits_nothing_of_it() {
    let subject = Subject::new("fatal", 1, fixed(10, 2), &[millis(10)]).await;
    let records: Vec<_> = (0..5)
        .map(|number| Sent::new(0, &format!("k{number}"), number))
        .collect();
    subject.send(&records).await;
    let running = subject.start(|record, _| {
        if text(record) == "3" {
            Reply::now(Err(Failure::fatal(error(FAILED))))
        } else {
            Reply::success()
        }
    });
    let Err(Error::Handler(stopped)) = running.end().await else {
        panic!("it goes on")
    };
    let HandlerStopped { origin, error } = *stopped;
    assert_eq!((origin.offset, error.code()), (3, &FAILED));
    assert!(subject.committed().await[0] <= 3);
    assert_eq!(subject.calls.of("3").len(), 1);
    assert_eq!(subject.dead_letters().await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_null_apart_from_empty_in_keys_and_values() {
    let subject = Subject::new("null", 1, BlockingRetry::None, &[millis(50)]).await;
    let mut records = Vec::new();
    for key in [None, Some(Vec::new()), Some(b"k".to_vec())] {
        for value in [None, Some(Vec::new())] {
            let key = key.clone();
            records.push(Sent {
                partition: 0,
                key,
                value,
                headers: Headers::new(),
                timestamp_ms: None,
            });
        }
    }
    subject.send(&records).await;
    let running = subject.start(|_, _| Reply::transient());
    until("six dead letters", || running.snapshot().dead_letters == 6).await;
    running.stop().await;
    let pairs = |records: &[Sent]| {
        let mut pairs: Vec<_> = records
            .iter()
            .map(|record| (record.key.clone(), record.value.clone()))
            .collect();
        pairs.sort();
        pairs
    };
    assert_eq!(pairs(&subject.dead_letters().await), pairs(&records));
    assert_eq!(
        pairs(&cluster::read(&subject.retry_topic(1)).await),
        pairs(&records)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_failing_records_cost_attempts_in_proportion() {
    let subject = Subject::new("linear", 1, fixed(1, 2), &[]).await;
    let records: Vec<_> = (0..200)
        .map(|number| Sent::new(0, &format!("k{number}"), number))
        .collect();
    subject.send(&records).await;
    let running = subject.start(|_, _| Reply::transient());
    until("all dead letters", || {
        running.snapshot().dead_letters == 200
    })
    .await;
    running.stop().await;
    assert_eq!(subject.calls.count(), 600);
    assert_eq!(subject.dead_letters().await.len(), 200);
    assert_eq!(subject.committed().await, [200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_failure_is_not_tried_again() {
    let mut subject = Subject::new("age", 1, fixed(100, 1000), &[]).await;
    subject.settings.retry = subject
        .settings
        .retry
        .clone()
        .with_max_age(Duration::from_millis(550))
        .unwrap();
    subject.send(&[Sent::new(0, "k", "poor")]).await;
    let running = subject.start(|_, _| Reply::transient());
    until("a dead letter", || running.snapshot().dead_letters == 1).await;
    running.stop().await;
    let calls = subject.calls.all();
    assert!(
        calls.last().unwrap().began - calls[0].began <= millis(560),
        "{calls:?}"
    );
    assert!(calls.len() >= 2);
}
