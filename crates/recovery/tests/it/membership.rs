//! The group: rebalances, and delays that are longer than it waits.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cdc_event::{Attempt, Failure, Handler, Record};
use cdc_kafka::{ConsumerEvent, ConsumerSettings, GroupConsumer};
use recovery::BlockingRetry;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::cluster::{self, Sent, quick, soon, until};
use crate::subject::{Reply, Subject, fixed, millis, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_back_off_longer_than_the_poll_interval_keeps_the_membership() {
    let mut subject = Subject::new("interval", 1, fixed(9_000, 1), &[]).await;
    // The least that brokers take for a session.
    subject.settings.max_poll_interval = Duration::from_secs(6);
    subject.settings.revoke_deadline = Duration::from_secs(3);
    subject.send(&[Sent::new(0, "a", "poor")]).await;
    let running = subject.start(|record, attempt| {
        if text(record) == "poor" && attempt.number.get() == 1 {
            Reply::transient()
        } else {
            Reply::success()
        }
    });
    subject.calls.reach(1).await;
    let records: Vec<_> = (0..8).map(|number| Sent::new(0, "b", number)).collect();
    for record in records {
        tokio::time::sleep(Duration::from_secs(1)).await;
        subject.send(&[record]).await;
        assert_eq!(running.snapshot().partitions, 1);
    }
    subject.calls.reach_successes(9).await;
    let calls = subject.calls.of("poor");
    assert_eq!(calls.len(), 2, "it was read once, and tried twice");
    assert_eq!(calls[1].attempt.number.get(), 2);
    running.stop().await;
    assert_eq!(subject.committed().await, [9]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_member_takes_over_without_loss_and_in_order() {
    const RECORDS: usize = 3_000;
    let subject = Subject::new("second", 6, fixed(5, 3), &[]).await;
    let records: Vec<_> = (0..RECORDS)
        .map(|number| Sent::new((number % 6) as i32, &format!("k{}", number % 60), number))
        .collect();
    subject.send(&records).await;
    let hurry = Arc::new(AtomicBool::new(false));
    let done = Arc::new(Mutex::new(Vec::new()));
    let script = |member: u8| {
        let (hurry, done) = (Arc::clone(&hurry), Arc::clone(&done));
        move |record: &Record, attempt: Attempt| {
            let number: usize = text(record).parse().unwrap();
            let takes = if hurry.load(Ordering::SeqCst) {
                millis(5)
            } else {
                millis(300)
            };
            if number.is_multiple_of(50) && attempt.number.get() == 1 {
                return Reply::transient();
            }
            done.lock().unwrap().push((member, number));
            Reply::success().after(takes)
        }
    };
    let first = subject.start(script(1));
    subject.calls.reach_successes(60).await;
    let second = subject.start(script(2));
    until("both have partitions", || {
        let both = [&first, &second].map(|running| running.snapshot().partitions);
        both.iter().sum::<usize>() == 6 && both.iter().all(|count| *count > 0)
    })
    .await;
    let at_both = subject.calls.succeeded();
    assert!(at_both < RECORDS, "all was done before");
    subject
        .calls
        .reach_successes((at_both + 200).min(RECORDS))
        .await;
    first.stop().await;
    hurry.store(true, Ordering::SeqCst);
    let all: BTreeSet<_> = (0..RECORDS).collect();
    let seen = || -> BTreeSet<usize> {
        done.lock()
            .unwrap()
            .iter()
            .map(|(_, number)| *number)
            .collect()
    };
    until("all are done", || seen() == all).await;
    second.stop().await;

    // What a key waits for keeps the offset back, so that some of the others are done again; never out of order.
    let done = done.lock().unwrap().clone();
    assert!(done.len() < RECORDS + 300, "{} of {RECORDS}", done.len());
    let mut of_key: HashMap<(u8, usize), Vec<usize>> = HashMap::new();
    let mut first_of_key: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut before = BTreeSet::new();
    for (member, number) in done {
        of_key
            .entry((member, number % 60))
            .or_default()
            .push(number);
        if before.insert(number) {
            first_of_key.entry(number % 60).or_default().push(number);
        }
    }
    for values in of_key.values().chain(first_of_key.values()) {
        assert!(values.is_sorted_by(|a, b| a < b), "{values:?}");
    }
    assert_eq!(subject.committed().await, [500; 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebalance_does_not_wait_for_a_back_off() {
    let subject = Subject::new("revoked", 2, fixed(3_600_000, 1), &[]).await;
    subject
        .send(&[Sent::new(0, "a", "0"), Sent::new(1, "b", "1")])
        .await;
    let first = subject.start(|_, _| Reply::transient());
    subject.calls.reach(2).await;
    let well = Arc::new(AtomicBool::new(false));
    let is_well = Arc::clone(&well);
    let second = subject.start(move |_, _| {
        if is_well.load(Ordering::SeqCst) {
            Reply::success()
        } else {
            Reply::transient()
        }
    });
    // It is tried again where it went.
    subject.calls.reach(3).await;
    let third = subject.calls.all()[2].clone();
    assert_eq!(third.attempt.number.get(), 1);
    well.store(true, Ordering::SeqCst);
    first.stop().await;
    until("all is the second's", || second.snapshot().partitions == 2).await;
    subject.calls.reach_successes(1).await;
    second.stop().await;
}

/// Due long after a second member has joined.
const TIER: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_a_retry_topic_is_tried_once_when_it_is_due_by_whoever_has_its_partition() {
    const RECORDS: usize = 20;
    let options = quick(cluster::options());
    let subject = Subject::on(options, "moves", 4, BlockingRetry::None, &[TIER]).await;
    let records: Vec<_> = (0..RECORDS)
        .map(|number| Sent::new((number % 4) as i32, &format!("k{number}"), number))
        .collect();
    subject.send(&records).await;
    let by = Arc::new(Mutex::new(Vec::new()));
    let script = |member: u8| {
        let by = Arc::clone(&by);
        move |_: &Record, attempt: Attempt| {
            if attempt.number.get() == 1 {
                return Reply::transient();
            }
            by.lock().unwrap().push(member);
            Reply::success()
        }
    };
    let first = subject.start(script(1));
    until("all wait", || {
        let snapshot = first.snapshot();
        snapshot.retried == RECORDS as u64 && !snapshot.oldest_due.is_empty()
    })
    .await;
    let second = subject.start(script(2));
    until("both have partitions of the retry topic", || {
        let both = [&first, &second].map(|running| running.snapshot());
        both.iter().all(|snapshot| snapshot.retry_partitions == 2)
    })
    .await;
    assert_eq!(
        subject.calls.count(),
        RECORDS,
        "it was too late to show anything"
    );
    subject.calls.reach_successes(RECORDS).await;
    let retried = async || -> i64 {
        let (group, topic) = (subject.retry_group(), subject.retry_topic(1));
        cluster::committed(&group, &topic).await.values().sum()
    };
    soon(async {
        while retried().await < RECORDS as i64 {
            tokio::time::sleep(millis(20)).await;
        }
    })
    .await;
    first.stop().await;
    second.stop().await;

    assert_eq!(
        by.lock().unwrap().iter().collect::<BTreeSet<_>>(),
        BTreeSet::from([&1, &2])
    );
    for number in 0..RECORDS {
        let calls = subject.calls.of(&number.to_string());
        let attempts: Vec<_> = calls.iter().map(|call| call.attempt.number.get()).collect();
        assert_eq!(attempts, [1, 2], "{number}");
        let waited = calls[1].began - calls[0].began;
        // Kafka's times are in whole milliseconds.
        assert!(waited + millis(1) >= TIER, "early: {waited:?}");
        assert!(waited <= TIER + millis(1_500), "late: {waited:?}");
    }
    assert!(subject.dead_letters().await.is_empty());
}

/// Is told when it may end.
struct Holds {
    begun: mpsc::Sender<()>,
    end: CancellationToken,
}

impl Handler for Holds {
    async fn handle(&self, _: &Record, _: Attempt) -> Result<(), Failure> {
        self.begun.send(()).await.unwrap();
        self.end.cancelled().await;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebalance_of_the_retry_group_leaves_the_main_group_alone() {
    let options = quick(cluster::options());
    let tiers = [millis(50)];
    let subject = Subject::on(options.clone(), "apart", 2, BlockingRetry::None, &tiers).await;
    let (begun, mut has_begun) = mpsc::channel(9);
    let end = CancellationToken::new();
    let running = subject.start_handler(Holds {
        begun,
        end: end.clone(),
    });
    let retry_partitions = async |wanted| {
        until(&format!("{wanted} partitions of the retry topic"), || {
            running.snapshot().retry_partitions == wanted
        })
        .await;
    };
    retry_partitions(2).await;
    until("the sources are assigned", || {
        running.snapshot().partitions == 2
    })
    .await;
    subject.send(&[Sent::new(0, "k", "slow")]).await;
    soon(has_begun.recv()).await.unwrap();

    let settings = ConsumerSettings::new(subject.retry_group(), vec![subject.retry_topic(1)]);
    let mut other = GroupConsumer::start(&options, &settings).unwrap();
    retry_partitions(1).await;
    assert_eq!(running.snapshot().partitions, 2);
    let assigned = soon(other.event()).await;
    assert!(
        matches!(assigned, ConsumerEvent::Assigned(_)),
        "{assigned:?}"
    );
    soon(other.close(cluster::DEADLINE)).await.unwrap();
    retry_partitions(2).await;
    assert_eq!(running.snapshot().partitions, 2);

    // What was being handled all the time was not taken away: it is committed, and never read again.
    end.cancel();
    subject.until_committed(1).await;
    running.stop().await;
    assert!(has_begun.try_recv().is_err(), "it was read again");
}
