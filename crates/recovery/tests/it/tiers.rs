//! Retry topics: delays, attempts, replays.

use std::time::Duration;

use recovery::BlockingRetry;

use crate::cluster::{self, Sent, until};
use crate::subject::{Reply, Subject, at, fixed, millis, text};

#[tokio::test(flavor = "multi_thread")]
async fn goes_through_all_tiers_never_early_and_not_much_too_late() {
    let subject = Subject::new("tiers", 1, fixed(20, 1), &[millis(700), millis(1400)]).await;
    let mut sent = Sent::new(0, "k", "poor");
    sent.headers.push("own", Some(b"1".to_vec()));
    sent.timestamp_ms = Some(1_700_000_000_123);
    subject
        .send(&[sent.clone(), Sent::new(0, "k", "good")])
        .await;
    let running = subject.start(|record, _| {
        if text(record) == "poor" {
            Reply::transient()
        } else {
            Reply::success()
        }
    });
    until("a dead letter", || running.snapshot().dead_letters == 1).await;
    running.stop().await;

    let calls = subject.calls.of("poor");
    let attempts: Vec<_> = calls.iter().map(|call| call.attempt.number.get()).collect();
    assert_eq!(attempts, [1, 2, 3, 4]);
    for (before, after, delay) in [(1, 2, 700), (2, 3, 1400)] {
        let waited = calls[after].began - calls[before].began;
        // Kafka's times are in whole milliseconds.
        assert!(waited + millis(1) >= millis(delay), "early: {waited:?}");
        assert!(waited <= millis(delay + 1500), "late: {waited:?}");
    }
    for call in &calls {
        assert_eq!(call.record.origin, at(&subject.topic, 0, 0));
        assert_eq!(call.record.timestamp_ms, sent.timestamp_ms);
        assert_eq!(call.record.headers, sent.headers);
        assert!((call.attempt.number.get() == 1) == call.attempt.first_failed_at.is_none());
    }
    let first: Vec<_> = calls[1..]
        .iter()
        .map(|call| call.attempt.first_failed_at.unwrap())
        .collect();
    let spread = first
        .iter()
        .max()
        .unwrap()
        .duration_since(*first.iter().min().unwrap())
        .unwrap();
    assert!(spread < millis(2), "it failed first once: {spread:?}");
    let dead = subject.dead_letters().await.remove(0);
    assert_eq!(dead.timestamp_ms, sent.timestamp_ms);
    assert_eq!(dead.headers.as_slice()[0], sent.headers.as_slice()[0]);
    assert_eq!(subject.committed().await, [2]);
    let retried = cluster::committed(&subject.retry_group(), &subject.retry_topic(1)).await;
    assert_eq!(retried[&0], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_turns_out_to_be_poison_in_a_retry_topic_passes_over_those_behind_it() {
    let delays = [millis(50), millis(50), millis(50)];
    let subject = Subject::new("late-poison", 1, BlockingRetry::None, &delays).await;
    subject.send(&[Sent::new(0, "k", "poor")]).await;
    let running = subject.start(|_, attempt| match attempt.number.get() {
        1 => Reply::transient(),
        _ => Reply::poison(),
    });
    until("a dead letter", || running.snapshot().dead_letters == 1).await;
    running.stop().await;
    assert_eq!(subject.calls.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_records_on_many_partitions_are_all_in_time() {
    const RECORDS: i32 = 100;
    let subject = Subject::new("many", 10, BlockingRetry::None, &[millis(1000)]).await;
    let records: Vec<_> = (0..RECORDS)
        .map(|number| Sent::new(number % 10, &format!("k{number}"), number))
        .collect();
    let running = subject.start(|_, attempt| {
        if attempt.number.get() == 1 {
            Reply::transient()
        } else {
            Reply::success()
        }
    });
    until("both groups are joined", || {
        let snapshot = running.snapshot();
        snapshot.partitions == 10 && snapshot.retry_partitions == 10
    })
    .await;
    subject.send(&records).await;
    subject.calls.reach_successes(100).await;
    running.stop().await;
    for number in 0..RECORDS {
        let calls = subject.calls.of(&number.to_string());
        assert_eq!(calls.len(), 2);
        let waited = calls[1].began - calls[0].began;
        assert!(waited + millis(1) >= millis(1000), "early: {waited:?}");
        assert!(waited <= millis(2500), "late: {waited:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_a_key_are_retried_in_the_order_in_which_they_failed() {
    const RECORDS: usize = 50;
    let delays = [millis(300), millis(300)];
    let subject = Subject::new("due-alike", 1, BlockingRetry::None, &delays).await;
    let records: Vec<_> = (0..RECORDS)
        .map(|number| Sent::new(0, "k", number))
        .collect();
    subject.send(&records).await;
    let running = subject.start(|_, attempt| match attempt.number.get() {
        1 | 2 => Reply::transient(),
        _ => Reply::success(),
    });
    subject.calls.reach_successes(RECORDS).await;
    running.stop().await;
    let calls = subject.calls.all();
    let wanted: Vec<_> = (0..RECORDS).map(|number| number.to_string()).collect();
    for number in 1..=3 {
        let attempts = calls
            .iter()
            .filter(|call| call.attempt.number.get() == number);
        let found: Vec<_> = attempts.map(|call| text(&call.record)).collect();
        assert_eq!(found, wanted, "attempt {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_puts_an_attempt_off_without_holding_others_up() {
    let subject = Subject::new("put-off", 1, BlockingRetry::None, &[millis(200)]).await;
    subject
        .send(&[Sent::new(0, "a", "later"), Sent::new(0, "b", "soon")])
        .await;
    let running = subject.start(|record, attempt| {
        let retry_after = (text(record) == "later").then(|| millis(2000));
        let error = crate::subject::error(crate::subject::FAILED);
        let failed = Err(cdc_event::Failure::Transient { error, retry_after });
        if attempt.number.get() == 1 {
            Reply::now(failed)
        } else {
            Reply::success()
        }
    });
    subject.calls.reach_successes(2).await;
    running.stop().await;
    let waited = |value| {
        let calls = subject.calls.of(value);
        calls[1].began - calls[0].began
    };
    assert!(
        waited("later") + millis(1) >= millis(2000),
        "{:?}",
        waited("later")
    );
    assert!(waited("soon") < millis(1900), "{:?}", waited("soon"));
}

/// A partition holds 1,024 records: were those that are put off among them, nothing behind them would be read.
#[tokio::test(flavor = "multi_thread")]
async fn however_many_are_put_off_they_hold_up_no_other_key() {
    const LATER: usize = 1_500;
    let subject = Subject::new("put-off-many", 1, BlockingRetry::None, &[millis(200)]).await;
    let later: Vec<_> = (0..LATER)
        .map(|number| Sent::new(0, &format!("k{number}"), "later"))
        .collect();
    subject.send(&later).await;
    let running = subject.start(|record, attempt| {
        let retry_after = (text(record) == "later").then(|| millis(10_000));
        let error = crate::subject::error(crate::subject::FAILED);
        match attempt.number.get() {
            1 => Reply::now(Err(cdc_event::Failure::Transient { error, retry_after })),
            _ => Reply::success(),
        }
    });
    subject.calls.reach(LATER).await;
    subject.until_committed(LATER).await;
    subject.send(&[Sent::new(0, "other", "soon")]).await;
    subject.calls.reach_successes(1).await;
    running.stop().await;
    let calls = subject.calls.of("soon");
    let waited = calls[1].began - calls[0].began;
    assert!(waited < millis(4000), "late: {waited:?}");
    assert_eq!(
        subject.calls.of("later").len(),
        LATER,
        "they are tried later"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_off_for_longer_than_a_delay_stays_as_it_was() {
    let delays = [millis(300), millis(100)];
    let subject = Subject::new("put-off-long", 1, BlockingRetry::None, &delays).await;
    subject.send(&[Sent::new(0, "k", "v")]).await;
    let running = subject.start(|_, attempt| {
        let retry_after = (attempt.number.get() == 1).then(|| millis(2500));
        let error = crate::subject::error(crate::subject::FAILED);
        Reply::now(Err(cdc_event::Failure::Transient { error, retry_after }))
    });
    until("a dead letter", || running.snapshot().dead_letters == 1).await;
    running.stop().await;

    let calls = subject.calls.of("v");
    let attempts: Vec<_> = calls.iter().map(|call| call.attempt.number.get()).collect();
    assert_eq!(attempts, [1, 2, 3], "no attempt and no delay is used up");
    let waited = calls[1].began - calls[0].began;
    assert!(waited + millis(1) >= millis(2500), "early: {waited:?}");
    assert!(waited <= millis(4000), "late: {waited:?}");
    assert_eq!(
        calls[1].attempt.first_failed_at,
        calls[2].attempt.first_failed_at
    );
    assert_eq!(calls[1].record, calls[0].record);
    let on_its_way = cluster::read(&subject.retry_topic(1)).await;
    assert!(
        (3..12).contains(&on_its_way.len()),
        "it went on to wait there: {}",
        on_its_way.len()
    );
    for record in &on_its_way {
        assert_eq!(record.header("cdc-error-code"), Some(b"failed".to_vec()));
        let message = record.header("cdc-error-message");
        assert_eq!(message, Some(b"it did not work".to_vec()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_not_due_stays_uncommitted_and_others_flow() {
    let subject = Subject::new(
        "not-due",
        1,
        BlockingRetry::None,
        &[Duration::from_secs(3600)],
    )
    .await;
    subject
        .send(&[Sent::new(0, "a", "poor"), Sent::new(0, "a", "good")])
        .await;
    let running = subject.start(|record, _| {
        if text(record) == "poor" {
            Reply::transient()
        } else {
            Reply::success()
        }
    });
    subject.calls.reach_successes(1).await;
    until("it waits in its tier", || {
        !running.snapshot().oldest_due.is_empty()
    })
    .await;
    running.stop().await;
    assert_eq!(subject.calls.of("poor").len(), 1);
    assert_eq!(subject.committed().await, [2]);
    assert_eq!(
        cluster::committed(&subject.retry_group(), &subject.retry_topic(1)).await[&0],
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tiers_replays_still_have_a_way_in() {
    let subject = Subject::new("entry", 1, BlockingRetry::None, &[]).await;
    let entry = subject
        .settings
        .names()
        .unwrap()
        .replay_entry(&subject.topic)
        .unwrap()
        .to_owned();
    let running = subject.start(|_, _| Reply::success());
    until("the entry is there", || {
        running.snapshot().retry_partitions == 1
    })
    .await;
    cluster::send(&entry, &[Sent::new(0, "k", "again")]).await;
    subject.calls.reach_successes(1).await;
    running.stop().await;
    assert_eq!(
        cluster::committed(&subject.retry_group(), &entry).await[&0],
        1
    );
}
