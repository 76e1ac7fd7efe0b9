//! Stops, in order.

use std::time::Instant;

use crate::cluster::{Sent, until};
use crate::subject::{Reply, Subject, fixed, millis, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_mid_back_off_is_quick_and_commits_nothing_of_it() {
    let subject = Subject::new("back-off", 1, fixed(3_600_000, 5), &[]).await;
    subject
        .send(&[
            Sent::new(0, "a", "poor"),
            Sent::new(0, "a", "behind"),
            Sent::new(0, "b", "good"),
        ])
        .await;
    let running = subject.start(|record, _| {
        if text(record) == "poor" {
            Reply::transient()
        } else {
            Reply::success()
        }
    });
    subject.calls.reach(2).await;
    let stopping = Instant::now();
    running.stop().await;
    assert!(
        stopping.elapsed() < millis(3000),
        "{:?}",
        stopping.elapsed()
    );
    assert_eq!(subject.committed().await, [0]);
    assert_eq!(subject.dead_letters().await.len(), 0);

    let running = subject.start(|_, _| Reply::success());
    subject.calls.reach(5).await;
    running.stop().await;
    let poor: Vec<_> = subject
        .calls
        .of("poor")
        .iter()
        .map(|call| call.attempt.number.get())
        .collect();
    assert_eq!(poor, [1, 1]);
    assert_eq!(subject.calls.of("behind").len(), 1);
    assert_eq!(subject.committed().await, [3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_attempts_in_flight_end_and_commits_them() {
    let subject = Subject::new("in-flight", 2, fixed(10, 1), &[]).await;
    let records: Vec<_> = (0..10)
        .map(|number| Sent::new(number % 2, &format!("k{number}"), number))
        .collect();
    subject.send(&records).await;
    let running = subject.start(|_, _| Reply::success().after(millis(800)));
    subject.calls.reach(10).await;
    running.stop().await;
    assert_eq!(subject.calls.succeeded(), 10);
    assert_eq!(subject.committed().await, [5, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_hangs_holds_a_stop_up_only_until_its_deadline() {
    let mut subject = Subject::new("hanging", 1, fixed(10, 1), &[]).await;
    subject.settings.stop_deadline = millis(500);
    subject
        .send(&[Sent::new(0, "a", "good"), Sent::new(0, "b", "hangs")])
        .await;
    let running = subject.start(|record, _| {
        if text(record) == "hangs" {
            Reply::success().after(millis(3_600_000))
        } else {
            Reply::success()
        }
    });
    subject.calls.reach(2).await;
    until("the good one is done", || subject.calls.succeeded() == 1).await;
    let stopping = Instant::now();
    running.stop().await;
    assert!(
        stopping.elapsed() < millis(4000),
        "{:?}",
        stopping.elapsed()
    );
    assert_eq!(subject.committed().await, [1]);
}
