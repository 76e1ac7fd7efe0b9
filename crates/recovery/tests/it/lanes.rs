//! Order per key, and independence of keys.

use std::collections::HashMap;

use crate::cluster::{Sent, until};
use crate::subject::{Calls, Reply, Subject, fixed, millis, text};

/// Successes of each key, by value, in the order in which they began.
fn by_key(calls: &Calls) -> HashMap<String, Vec<u32>> {
    let mut keys: HashMap<String, Vec<u32>> = HashMap::new();
    for call in calls.all().into_iter().filter(|call| call.succeeded) {
        keys.entry(call.key())
            .or_default()
            .push(call.text().parse().unwrap());
    }
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_order_of_a_key_while_others_go_on() {
    let subject = Subject::new("order", 2, fixed(200, 3), &[]).await;
    let key = |number| {
        if number % 10 == 0 {
            "slow".to_owned()
        } else {
            format!("k{}", number % 7)
        }
    };
    let mut records: Vec<_> = (0..300)
        .map(|number| Sent::new(number % 2, &key(number), number))
        .collect();
    records
        .iter_mut()
        .filter(|record| record.key.as_deref() == Some(b"slow"))
        .for_each(|record| record.partition = 0);
    subject.send(&records).await;
    // The first of the slow key fails three times; behind it are 29 others.
    let running = subject.start(|record, attempt| {
        let is_head = text(record) == "0";
        if is_head && attempt.number.get() < 4 {
            Reply::transient()
        } else {
            Reply::success().after(millis(1))
        }
    });
    subject.calls.reach_successes(300).await;
    running.stop().await;

    let keys = by_key(&subject.calls);
    assert_eq!(keys.values().map(Vec::len).sum::<usize>(), 300);
    for (key, values) in &keys {
        let partitions = if key == "slow" { 1 } else { 2 };
        for parity in 0..partitions {
            let of_partition = values
                .iter()
                .filter(|value| partitions == 1 || **value % 2 == parity);
            assert!(of_partition.is_sorted(), "{key}: {values:?}");
        }
    }
    // All others were done before the slow key had its second attempt.
    let calls = subject.calls.all();
    let second = calls
        .iter()
        .find(|call| call.attempt.number.get() == 2)
        .unwrap();
    let others = calls.iter().filter(|call| call.key() != "slow");
    assert!(others.map(|call| call.began).max().unwrap() < second.began);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_without_a_key_do_not_wait_for_each_other() {
    let subject = Subject::new("keyless", 1, fixed(60_000, 1), &[]).await;
    let mut records: Vec<_> = (0..20).map(|number| Sent::new(0, "", number)).collect();
    records.iter_mut().for_each(|record| record.key = None);
    subject.send(&records).await;
    let running = subject.start(|record, _| {
        if text(record) == "0" {
            Reply::transient()
        } else {
            Reply::success()
        }
    });
    subject.calls.reach_successes(19).await;
    running.stop().await;
    assert_eq!(subject.committed().await, [0], "the first is not done");
}

#[tokio::test(flavor = "multi_thread")]
async fn makes_no_more_attempts_at_the_same_time_than_allowed() {
    let mut subject = Subject::new("concurrency", 3, fixed(10, 1), &[]).await;
    subject.settings.concurrency = 5.try_into().unwrap();
    let records: Vec<_> = (0..120)
        .map(|number| Sent::new(number % 3, &format!("k{number}"), number))
        .collect();
    subject.send(&records).await;
    let running = subject.start(|_, _| Reply::success().after(millis(20)));
    subject.calls.reach_successes(120).await;
    running.stop().await;
    let calls = subject.calls.all();
    let busiest = calls.iter().map(|call| {
        let overlap = |other: &&crate::subject::Call| {
            other.began <= call.began && call.began < other.began + millis(20)
        };
        calls.iter().filter(overlap).count()
    });
    let busiest = busiest.max().unwrap();
    assert!((2..=5).contains(&busiest), "{busiest} at the same time");
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_no_more_bytes_than_allowed() {
    let mut subject = Subject::new("bytes", 1, fixed(10, 1), &[]).await;
    subject.settings.max_in_flight_bytes = 50_000.try_into().unwrap();
    let mut records: Vec<_> = (0..100)
        .map(|number| Sent::new(0, &format!("k{number}"), number))
        .collect();
    records
        .iter_mut()
        .for_each(|record| record.value = Some(vec![b'x'; 9_996]));
    // Larger than all that is allowed: it is taken by itself.
    records[50].value = Some(vec![b'x'; 200_000]);
    subject.send(&records).await;
    let gate = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let open = std::sync::Arc::clone(&gate);
    let running = subject.start(move |_, _| {
        if open.load(std::sync::atomic::Ordering::SeqCst) {
            Reply::success()
        } else {
            Reply::success().after(millis(1500))
        }
    });
    subject.calls.reach(5).await;
    assert!(subject.calls.count() <= 6, "{}", subject.calls.count());
    until("few are held", || running.snapshot().held <= 6).await;
    gate.store(true, std::sync::atomic::Ordering::SeqCst);
    subject.calls.reach_successes(100).await;
    running.stop().await;
    assert_eq!(subject.committed().await, [100]);
}
