//! Many keys that fail again and again beside many that do not.

use std::time::{Duration, Instant};

use cdc_event::{Attempt, Record};
use recovery::BlockingRetry;

use crate::cluster::{Sent, until};
use crate::subject::{Reply, Subject, fixed, text};

const CONCURRENCY: usize = 4;

async fn subject(label: &str, blocking: BlockingRetry) -> Subject {
    let mut subject = Subject::new(label, 1, blocking, &[]).await;
    subject.settings.concurrency = CONCURRENCY.try_into().unwrap();
    subject
}

fn script(record: &Record, _: Attempt) -> Reply {
    if text(record) == "poor" {
        Reply::transient()
    } else {
        Reply::success()
    }
}

/// A record of each of so many keys that fail.
fn poor(keys: usize) -> impl Iterator<Item = Sent> {
    (0..keys).map(|key| Sent::new(0, &format!("bad{key}"), "poor"))
}

fn good(records: usize) -> impl Iterator<Item = Sent> {
    (0..records).map(|number| Sent::new(0, &format!("good{}", number % 50), number))
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_wait_for_an_hour_take_no_attempt_from_the_others() {
    const KEYS: usize = 100 * CONCURRENCY;
    const RECORDS: usize = 10_000;
    let subject = subject("many-waiting", fixed(3_600_000, 1)).await;
    // Some before all others, and some among them.
    let mut records: Vec<_> = poor(KEYS / 2).chain(good(RECORDS)).collect();
    let among = poor(KEYS).skip(KEYS / 2).enumerate();
    for (number, record) in among {
        records.insert(KEYS / 2 + number * (RECORDS / KEYS), record);
    }
    subject.send(&records).await;
    let running = subject.start(script);
    subject.calls.reach_successes(RECORDS).await;
    until("only they are held", || running.snapshot().held == KEYS).await;
    assert_eq!(subject.calls.of("poor").len(), KEYS, "each was tried once");
    running.stop().await;
}

/// A partition is read no further while it holds 1,024 records, so that memory is bounded: then the others wait, but no
/// longer than one back-off for each 1,024.
#[tokio::test(flavor = "multi_thread")]
async fn more_keys_than_a_partition_may_hold_delay_the_others_by_their_back_off_only() {
    const KEYS: usize = 1_500;
    const BACK_OFF: Duration = Duration::from_secs(2);
    let subject = subject("too-many-waiting", fixed(2_000, 1)).await;
    let records: Vec<_> = poor(KEYS).chain(good(1_000)).collect();
    subject.send(&records).await;
    let began = Instant::now();
    let running = subject.start(script);
    until("as many are held as may be", || {
        running.snapshot().held >= 1_024
    })
    .await;
    subject.calls.reach_successes(1_000).await;
    // With room for what the machine does besides.
    let took = began.elapsed();
    assert!(took < 5 * BACK_OFF, "{took:?}");
    until("the bad ones are given up", || {
        running.snapshot().dead_letters == KEYS as u64
    })
    .await;
    running.stop().await;
    assert_eq!(subject.committed().await, [(KEYS + 1_000) as i64]);
}
