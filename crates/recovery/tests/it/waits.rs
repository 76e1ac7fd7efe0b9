//! Records that are not tried yet: no attempt is used up.

use cdc_event::{Attempt, ErrorCode, FailedPart, Failure, PartDisposition, PartId, Record};
use ordered_lanes::DeadHead;
use recovery::BlockingRetry;

use crate::cluster::{Sent, until};
use crate::in_order::kept::{Backend, Kept};
use crate::subject::{Calls, Reply, Subject, error, fixed, millis, text};

const NOT_NOW: ErrorCode = ErrorCode::from_static("not-now");

fn wait(millis_long: u64) -> Reply {
    Reply::now(Err(Failure::wait(error(NOT_NOW), millis(millis_long))))
}

/// The numbers of the attempts at a record.
fn numbers(calls: &Calls, value: &str) -> Vec<u32> {
    let calls = calls.of(value);
    calls.iter().map(|call| call.attempt.number.get()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_more_often_than_it_may_fail_and_then_has_all_attempts() {
    let subject = Subject::new("waits", 1, BlockingRetry::None, &[millis(50), millis(50)]).await;
    subject.send(&[Sent::new(0, "k", "v")]).await;
    let calls = subject.calls.clone();
    let running = subject.start(
        move |_, attempt| match (calls.count(), attempt.number.get()) {
            (..=5, _) => wait(10),
            (_, 1) => Reply::transient(),
            // Between two attempts too.
            (..=9, _) => wait(10),
            (_, 2) => Reply::transient(),
            _ => Reply::success(),
        },
    );
    subject.calls.reach_successes(1).await;
    let snapshot = running.snapshot();
    running.stop().await;
    assert_eq!(
        numbers(&subject.calls, "v"),
        [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3]
    );
    assert_eq!(snapshot.dead_letters, 0);
    assert!(subject.dead_letters().await.is_empty());
    let calls = subject.calls.all();
    assert!(calls[0].attempt.first_failed_at.is_none());
    let first = calls[1].attempt.first_failed_at;
    assert!(first.is_some());
    assert!(
        calls[1..]
            .iter()
            .all(|call| call.attempt.first_failed_at == first),
        "its age counts from the first time that it was put off"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_as_long_as_asked_and_no_other_key_waits_for_it() {
    let subject = Subject::new("waits-for", 1, BlockingRetry::None, &[millis(100)]).await;
    subject
        .send(&[Sent::new(0, "a", "held"), Sent::new(0, "b", "free")])
        .await;
    let running = subject.start(|record, attempt| {
        if text(record) == "held" && attempt.first_failed_at.is_none() {
            wait(1500)
        } else {
            Reply::success()
        }
    });
    subject.calls.reach_successes(1).await;
    assert_eq!(subject.calls.of("free").len(), 1);
    subject.calls.reach_successes(2).await;
    running.stop().await;
    let calls = subject.calls.of("held");
    let waited = calls[1].began - calls[0].began;
    assert!(waited + millis(1) >= millis(1500), "early: {waited:?}");
    assert_eq!(subject.committed().await, [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tiers_it_waits_in_its_place() {
    let subject = Subject::new("waits-here", 1, fixed(10, 1), &[]).await;
    subject
        .send(&[Sent::new(0, "k", "first"), Sent::new(0, "k", "second")])
        .await;
    let calls = subject.calls.clone();
    let running = subject.start(move |record, attempt| {
        match (text(record).as_str(), calls.count(), attempt.number.get()) {
            ("first", ..=3, _) => wait(100),
            ("first", _, 1) => Reply::transient(),
            _ => Reply::success(),
        }
    });
    subject.calls.reach_successes(2).await;
    running.stop().await;
    assert_eq!(numbers(&subject.calls, "first"), [1, 1, 1, 1, 2]);
    assert_eq!(subject.calls.all().last().unwrap().text(), "second");
    assert_eq!(subject.committed().await, [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_waits_by_itself() {
    let subject = Subject::new("waits-part", 1, fixed(10, 1), &[millis(50)]).await;
    subject.send(&[Sent::new(0, "k", "v")]).await;
    let part = |name: &str, disposition| FailedPart {
        part: PartId::new(name).unwrap(),
        error: error(NOT_NOW),
        disposition,
    };
    let calls = subject.calls.clone();
    let running = subject.start(move |record: &Record, attempt: Attempt| {
        match (&record.part, attempt.number.get()) {
            (None, _) => Reply::now(Err(Failure::Partial {
                parts: vec![
                    part("waits", PartDisposition::Wait { after: millis(50) }),
                    part("fails", PartDisposition::Transient { retry_after: None }),
                ],
            })),
            (Some(part), _) if part.as_str() == "fails" => Reply::success(),
            (Some(_), 1) if calls.count() < 6 => wait(50),
            (Some(_), 1) => Reply::transient(),
            (Some(_), _) => Reply::success(),
        }
    });
    subject.calls.reach_successes(2).await;
    running.stop().await;
    let of = |name: &str| -> Vec<u32> {
        let calls = subject.calls.all().into_iter();
        calls
            .filter(|call| call.record.part.as_ref().map(PartId::as_str) == Some(name))
            .map(|call| call.attempt.number.get())
            .collect()
    };
    assert_eq!(of("fails"), [2]);
    let waited = of("waits");
    assert!(waited.len() >= 4 && waited.ends_with(&[1, 2]), "{waited:?}");
    assert_eq!(subject.dead_letters().await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_too_long_is_a_failure() {
    let mut subject = Subject::new("waits-long", 1, BlockingRetry::None, &[millis(50)]).await;
    let retry = subject.settings.retry.clone();
    subject.settings.retry = retry.with_max_age(millis(1000)).unwrap();
    subject.send(&[Sent::new(0, "k", "v")]).await;
    let running = subject.start(|_, _| wait(100));
    until("a dead letter", || running.snapshot().dead_letters == 1).await;
    running.stop().await;
    let letter = subject.dead_letters().await.remove(0);
    assert_eq!(letter.header("cdc-error-code"), Some(b"not-now".to_vec()));
    assert_eq!(letter.header("cdc-waited-delays"), None);
    let calls = subject.calls.of("v");
    let tried_for = calls.last().unwrap().began - calls[0].began;
    assert!(calls.len() > 3 && tried_for > millis(700), "{tried_for:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_order_it_waits_with_those_behind_it() {
    for backend in [Backend::Lanes, Backend::Redirect] {
        waits_with_those_behind_it(backend).await;
    }
}

async fn waits_with_those_behind_it(backend: Backend) {
    let kept = Kept::new(backend, DeadHead::Hold).await;
    let mut subject = Subject::new("waits-order", 1, BlockingRetry::None, &[millis(50)]).await;
    subject.settings.ordering = kept.ordering();
    let calls = subject.calls.clone();
    let running = subject.start(move |record, attempt| {
        match (text(record).as_str(), attempt.number.get()) {
            ("first", _) if calls.of("first").len() <= 5 => wait(50),
            // Whoever keeps the order counts what it has as tried once.
            ("first", ..=2) => Reply::transient(),
            _ => Reply::success(),
        }
    });
    subject
        .send(&[
            Sent::new(0, "k", "first"),
            Sent::new(0, "k", "second"),
            Sent::new(0, "other", "third"),
        ])
        .await;
    subject.calls.reach_successes(3).await;
    running.stop().await;
    let done: Vec<_> = subject.calls.all().into_iter().collect();
    let done: Vec<_> = done.iter().filter(|call| call.succeeded).collect();
    let place = |value| done.iter().position(|call| call.text() == value).unwrap();
    assert!(place("first") < place("second"));
    assert_eq!(numbers(&subject.calls, "first"), [1, 2, 2, 2, 2, 2, 3]);
    assert_eq!(kept.waiting(&subject).await, 0);
    assert!(subject.dead_letters().await.is_empty());
}
