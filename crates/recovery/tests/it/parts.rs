//! Records of which only parts have failed.

use cdc_event::{FailedPart, Failure, PartDisposition, PartId, Record};
use recovery::BlockingRetry;

use crate::cluster::{Sent, until};
use crate::subject::{FAILED, Reply, Subject, error, fixed, millis};

fn part(name: &str, disposition: PartDisposition) -> FailedPart {
    FailedPart {
        part: PartId::new(name).unwrap(),
        error: error(FAILED),
        disposition,
    }
}

const LATER: PartDisposition = PartDisposition::Transient { retry_after: None };

/// All but these parts are done, and these may be later.
pub(crate) fn failed(parts: &[&str]) -> Failure {
    let parts = parts.iter().map(|name| part(name, LATER)).collect();
    Failure::Partial { parts }
}

/// `a` fails twice in all, `b` for good, everything else is done at the first attempt.
fn script(record: &Record, attempt: cdc_event::Attempt) -> Reply {
    match record.part.as_ref().map(PartId::as_str) {
        None => Reply::now(Err(Failure::Partial {
            parts: vec![part("a", LATER), part("b", PartDisposition::Poison)],
        })),
        Some("a") if attempt.number.get() < 3 => Reply::transient(),
        Some(_) => Reply::success(),
    }
}

fn parts(subject: &Subject) -> Vec<(Option<String>, u32)> {
    let calls = subject.calls.all();
    calls
        .iter()
        .map(|call| {
            (
                call.record.part.as_ref().map(PartId::to_string),
                call.attempt.number.get(),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_only_the_parts_that_failed() {
    let subject = Subject::new("parts", 3, fixed(10, 5), &[millis(100), millis(100)]).await;
    subject.send(&[Sent::new(2, "k", "v")]).await;
    let running = subject.start(script);
    subject.calls.reach_successes(1).await;
    running.stop().await;

    let a = Some("a".to_owned());
    assert_eq!(parts(&subject), [(None, 1), (a.clone(), 2), (a, 3)]);
    let dead = subject.dead_letters().await;
    assert_eq!(dead.len(), 1);
    assert_eq!(
        (dead[0].partition, dead[0].header("cdc-part")),
        (2, Some(b"b".to_vec()))
    );
    assert_eq!(subject.committed().await, [0, 0, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tiers_parts_are_retried_in_their_place() {
    let subject = Subject::new("parts-here", 1, fixed(10, 5), &[]).await;
    subject.send(&[Sent::new(0, "k", "v")]).await;
    let running = subject.start(script);
    subject.calls.reach_successes(1).await;
    running.stop().await;
    let a = Some("a".to_owned());
    assert_eq!(parts(&subject), [(None, 1), (a.clone(), 2), (a, 3)]);
    assert_eq!(subject.dead_letters().await.len(), 1);
    assert_eq!(subject.committed().await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_parts_go_on_each_by_itself() {
    const PARTS: usize = 500;
    let subject = Subject::new("parts-many", 1, BlockingRetry::None, &[millis(50)]).await;
    subject.send(&[Sent::new(0, "k", "v")]).await;
    let running = subject.start(|record, _| {
        if record.part.is_some() {
            return Reply::success();
        }
        let parts = (0..PARTS)
            .map(|number| part(&number.to_string(), LATER))
            .collect();
        Reply::now(Err(Failure::Partial { parts }))
    });
    subject.calls.reach_successes(PARTS).await;
    until("all are counted", || {
        running.snapshot().retried == PARTS as u64
    })
    .await;
    running.stop().await;
    let mut seen = parts(&subject);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), PARTS + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_part_at_all_is_success() {
    let subject = Subject::new("parts-none", 1, BlockingRetry::None, &[millis(50)]).await;
    subject.send(&[Sent::new(0, "k", "v")]).await;
    let running = subject.start(|_, _| Reply::now(Err(Failure::Partial { parts: Vec::new() })));
    subject.calls.reach(1).await;
    running.stop().await;
    assert_eq!(subject.committed().await, [1]);
    assert_eq!(subject.calls.count(), 1);
}
