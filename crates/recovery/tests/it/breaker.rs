//! An outage is not a reason for dead letters.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use recovery::BlockingRetry;

use crate::cluster::{Sent, until};
use crate::subject::{Reply, Subject, fixed, millis, quick_breaker, text};

#[tokio::test(flavor = "multi_thread")]
async fn holds_everything_during_an_outage_and_goes_on_after_it() {
    let mut subject = Subject::new("outage", 2, fixed(50, 2), &[millis(100)]).await;
    subject.settings.breaker = Some(quick_breaker());
    let records: Vec<_> = (0..200)
        .map(|number| Sent::new(number % 2, &format!("k{number}"), number))
        .collect();
    subject.send(&records).await;
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    let running = subject.start(move |_, _| {
        if is_down.load(Ordering::SeqCst) {
            Reply::transient()
        } else {
            Reply::success()
        }
    });
    until("an outage", || running.snapshot().outage).await;
    let at_first = subject.calls.count();
    subject.calls.reach(at_first + 5).await;
    let calls = subject.calls.all();
    let (first, last) = (&calls[at_first], calls.last().unwrap());
    // A try takes a tenth of a second to wait for, at the least half of that.
    let tries = calls.len() - at_first;
    assert!(
        tries <= 64 + 1 + ((last.began - first.began).as_millis() / 50) as usize,
        "{tries}"
    );
    let snapshot = running.snapshot();
    assert_eq!(
        (snapshot.dead_letters, snapshot.retried),
        (0, 0),
        "nothing is handed over"
    );

    down.store(false, Ordering::SeqCst);
    subject.calls.reach_successes(200).await;
    assert!(!running.snapshot().outage);
    running.stop().await;
    assert_eq!(subject.dead_letters().await.len(), 0);
    assert_eq!(subject.committed().await, [100, 100]);
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_no_outage() {
    let mut subject = Subject::new("no-outage", 1, BlockingRetry::None, &[]).await;
    subject.settings.breaker = Some(quick_breaker());
    let records: Vec<_> = (0..100)
        .map(|number| Sent::new(0, &format!("k{number}"), number))
        .collect();
    subject.send(&records).await;
    let running = subject.start(|_, _| Reply::poison());
    until("all dead letters", || {
        running.snapshot().dead_letters == 100
    })
    .await;
    assert!(!running.snapshot().outage);
    running.stop().await;
    assert_eq!(subject.calls.count(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_fail_alone_do_not_keep_good_ones_waiting_for_ever() {
    // Taken for an outage, and none: the good one is among those that are tried.
    let mut subject = Subject::new("false-alarm", 1, fixed(10, 2), &[]).await;
    subject.settings.breaker = Some(quick_breaker());
    let mut records: Vec<_> = (0..20)
        .map(|number| Sent::new(0, &format!("k{number}"), "poor"))
        .collect();
    records.push(Sent::new(0, "good", "good"));
    subject.send(&records).await;
    let running = subject.start(|record, _| {
        // They begin before any has ended, so that it is told when the good one is on its way.
        if text(record) == "poor" {
            Reply::transient().after(millis(5))
        } else {
            Reply::success().after(millis(5))
        }
    });
    subject.calls.reach_successes(1).await;
    until("the poor are dealt with", || {
        running.snapshot().dead_letters == 20
    })
    .await;
    running.stop().await;
    assert_eq!(subject.committed().await, [21]);
}
