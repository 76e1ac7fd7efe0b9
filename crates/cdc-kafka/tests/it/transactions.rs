//! Transactions on the real cluster: what is seen of them, in which order, and who may write.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use cdc_kafka::{
    Disposition, Error, InFlight, KafkaOptions, Limits, OutgoingRecord, Partition, PoisonReason,
    SendError, TransactionError,
};

use crate::reading::{Received, read_all};
use crate::setup::{DEADLINE, TestTopic, brokers, record, soon};
use crate::transmitter::{Transmitter, unique_id};

async fn values(topic: &TestTopic) -> Vec<String> {
    let text = |record: Received| String::from_utf8(record.value.unwrap()).unwrap();
    let received = read_all(&brokers(), &topic.name, topic.partitions).await;
    received.into_iter().map(text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_is_seen_and_what_is_aborted_is_not() {
    let topic = TestTopic::create("seen", 1).await;
    let mut sender = Transmitter::open(&unique_id()).await;
    for (value, commit) in [("a", true), ("b", false), ("c", false), ("d", true)] {
        sender.producer.begin().unwrap();
        sender
            .send(record(&topic.name, b"k", value.as_bytes()))
            .await;
        if commit {
            soon(sender.producer.commit()).await.unwrap();
        } else {
            // Delivered, and still not to be seen.
            sender.drain().await;
            soon(sender.producer.abort()).await.unwrap();
        }
    }
    sender.producer.begin().unwrap();
    sender.send(record(&topic.name, b"k", b"open")).await;
    sender.drain().await;

    assert_eq!(values(&topic).await, ["a", "d"]);
    soon(sender.producer.commit()).await.unwrap();
    assert_eq!(values(&topic).await, ["a", "d", "open"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_order_of_each_key_across_many_transactions() {
    const TRANSACTIONS: usize = 300;
    const RECORDS: usize = 40;
    const KEYS: usize = 25;
    let topic = TestTopic::create("order", 6).await;
    let mut sender = Transmitter::open(&unique_id()).await;
    for number in 0..TRANSACTIONS * RECORDS {
        if number % RECORDS == 0 {
            sender.producer.begin().unwrap();
        }
        let (key, value) = (format!("key-{}", number % KEYS), number.to_string());
        sender
            .send(record(&topic.name, key.as_bytes(), value.as_bytes()))
            .await;
        if number % RECORDS == RECORDS - 1 {
            soon(sender.producer.commit()).await.unwrap();
        }
    }
    sender.drain().await;

    assert!(sender.failed.is_empty(), "{:?}", sender.failed);
    assert_eq!(sender.producer.producer().in_flight(), InFlight::default());
    let received = read_all(&brokers(), &topic.name, topic.partitions).await;
    assert_eq!(received.len(), TRANSACTIONS * RECORDS);
    let mut next: HashMap<Vec<u8>, usize> = HashMap::new();
    for Received { key, value, .. } in received {
        let number: usize = String::from_utf8(value.unwrap()).unwrap().parse().unwrap();
        let next = next.entry(key.unwrap()).or_insert(number % KEYS);
        assert_eq!(*next, number);
        *next += KEYS;
    }
    assert_eq!(next.len(), KEYS);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_producer_is_fenced_whatever_it_tries() {
    let topic = TestTopic::create("fenced", 1).await;
    let id = unique_id();
    let send = async |sender: &mut Transmitter, value: &str| {
        sender.producer.begin().unwrap();
        sender
            .send(record(&topic.name, b"k", value.as_bytes()))
            .await;
        sender.drain().await;
    };
    let mut commits = Transmitter::open(&id).await;
    send(&mut commits, "lost").await;
    let mut aborts = Transmitter::open(&id).await;
    send(&mut aborts, "lost too").await;
    let mut youngest = Transmitter::open(&id).await;
    send(&mut youngest, "kept").await;

    let fenced = soon(commits.producer.commit()).await.unwrap_err();
    assert!(matches!(fenced, TransactionError::Fenced(_)), "{fenced:?}");
    assert_eq!(fenced.error().disposition(), Disposition::Rebuild);
    assert!(commits.producer.fatal().is_some());
    let refused = commits.producer.begin().unwrap_err();
    assert!(matches!(refused, Error::OutOfTurn { .. }), "{refused:?}");
    let failed = soon(aborts.producer.abort()).await.unwrap_err();
    assert_eq!(failed.disposition(), Disposition::Rebuild, "{failed:?}");
    soon(youngest.producer.commit()).await.unwrap();
    assert_eq!(values(&topic).await, ["kept"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_producer_that_goes_on_sending_commits_nothing() {
    let topic = TestTopic::create("zombie", 6).await;
    let id = unique_id();
    let mut zombie = Transmitter::open(&id).await;
    let mut youngest = Transmitter::open(&id).await;
    // The older one had no transaction open: it learns of the younger one only by sending.
    zombie.producer.begin().unwrap();
    for number in 0..1_000_u32 {
        let value = number.to_be_bytes();
        match zombie.try_send(record(&topic.name, &value, &value)) {
            Ok(()) => {}
            Err(SendError::Failed(error)) => {
                assert_eq!(error.disposition(), Disposition::Rebuild, "{error:?}");
                break;
            }
            Err(SendError::Full) => panic!("cannot be full"),
        }
    }
    let fenced = soon(zombie.producer.commit()).await.unwrap_err();
    assert!(matches!(fenced, TransactionError::Fenced(_)), "{fenced:?}");
    youngest.producer.begin().unwrap();
    youngest.send(record(&topic.name, b"k", b"kept")).await;
    soon(youngest.producer.commit()).await.unwrap();
    assert_eq!(values(&topic).await, ["kept"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_producer_ends_what_a_dead_one_left_open() {
    let topic = TestTopic::create("dead", 1).await;
    let id = unique_id();
    let mut dead = Transmitter::open(&id).await;
    dead.producer.begin().unwrap();
    dead.send(record(&topic.name, b"k", b"lost")).await;
    dead.drain().await;
    drop(dead);

    let mut bystander = Transmitter::open(&unique_id()).await;
    bystander.producer.begin().unwrap();
    bystander.send(record(&topic.name, b"k", b"waits")).await;
    soon(bystander.producer.commit()).await.unwrap();
    assert!(
        values(&topic).await.is_empty(),
        "behind an open transaction"
    );

    let started = Instant::now();
    let next = Transmitter::open(&id).await;
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "a third of the timeout: {:?}",
        started.elapsed()
    );
    assert_eq!(values(&topic).await, ["waits"]);
    drop(next);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_ends_an_open_transaction_for_its_readers() {
    let topic = TestTopic::create("closed", 1).await;
    let mut closed = Transmitter::open(&unique_id()).await;
    closed.producer.begin().unwrap();
    closed.send(record(&topic.name, b"k", b"lost")).await;
    closed.drain().await;
    let mut bystander = Transmitter::open(&unique_id()).await;
    bystander.producer.begin().unwrap();
    bystander.send(record(&topic.name, b"k", b"waits")).await;
    soon(bystander.producer.commit()).await.unwrap();

    let started = Instant::now();
    assert!(closed.producer.close(DEADLINE).await);
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(values(&topic).await, ["waits"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_was_given_up_can_be_waited_for_again() {
    let topic = TestTopic::create("cancelled", 6).await;
    let mut sender = Transmitter::open(&unique_id()).await;
    for round in 0..20_u32 {
        sender.producer.begin().unwrap();
        for number in 0..50_u32 {
            let value = format!("{round}.{number}");
            sender
                .send(record(&topic.name, value.as_bytes(), value.as_bytes()))
                .await;
        }
        // Each step of the commit is interrupted in one round or another.
        let patience = Duration::from_micros(u64::from(round) * 400);
        let given_up = tokio::time::timeout(patience, sender.producer.commit()).await;
        if let Ok(committed) = given_up {
            committed.unwrap();
        } else {
            let refused = sender.producer.begin().unwrap_err();
            assert!(matches!(refused, Error::OutOfTurn { .. }), "{refused:?}");
            soon(sender.producer.commit()).await.unwrap();
        }
    }
    assert_eq!(values(&topic).await.len(), 20 * 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_record_fails_the_transaction_and_comes_back_whole() {
    let topic = TestTopic::create("refused", 1).await;
    let mut sender = Transmitter::open(&unique_id()).await;
    let good = record(&topic.name, b"k", b"good");
    let bad = OutgoingRecord {
        partition: Some(Partition(7)),
        ..record(&topic.name, b"k", b"bad")
    };
    sender.producer.begin().unwrap();
    sender.send(good).await;
    let bad = sender.send(bad).await;
    let failed = soon(sender.producer.commit()).await.unwrap_err();
    assert!(
        matches!(failed, TransactionError::Abortable(_)),
        "{failed:?}"
    );
    let refused = sender.producer.begin().unwrap_err();
    assert!(matches!(refused, Error::OutOfTurn { .. }), "{refused:?}");
    soon(sender.producer.abort()).await.unwrap();
    sender.drain().await;

    let culprits: Vec<_> = sender
        .failed
        .iter()
        .filter(|delivery| {
            let error = delivery.result.as_ref().unwrap_err();
            error.disposition() == Disposition::Poison(PoisonReason::InvalidRecord)
        })
        .collect();
    assert_eq!(culprits.len(), 1, "{culprits:?}");
    assert_eq!(culprits[0].sequence, bad);
    let returned = culprits[0].record.as_ref().unwrap();
    assert_eq!(*returned.topic, *topic.name);
    assert_eq!(returned.value.as_deref(), Some(&b"bad"[..]));

    sender.producer.begin().unwrap();
    sender.send(good).await;
    soon(sender.producer.commit()).await.unwrap();
    assert_eq!(values(&topic).await, ["good"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_what_is_out_of_turn() {
    let topic = TestTopic::create("turns", 1).await;
    let mut sender = Transmitter::open(&unique_id()).await;
    let good = record(&topic.name, b"k", b"v");
    let out_of_turn = |error: &Error| matches!(error, Error::OutOfTurn { .. });
    match sender.try_send(good) {
        Err(SendError::Failed(error)) => assert!(out_of_turn(&error), "{error:?}"),
        other => panic!("{other:?}"),
    }
    assert!(out_of_turn(
        &soon(sender.producer.abort()).await.unwrap_err()
    ));
    let error = soon(sender.producer.commit()).await.unwrap_err();
    assert!(out_of_turn(error.error()), "{error:?}");
    sender.producer.begin().unwrap();
    assert!(out_of_turn(&sender.producer.begin().unwrap_err()));
    // None of it did any harm.
    sender.try_send(good).unwrap();
    soon(sender.producer.commit()).await.unwrap();
    assert_eq!(values(&topic).await, ["v"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_transaction_can_be_committed_and_aborted() {
    let mut sender = Transmitter::open(&unique_id()).await;
    for _ in 0..3 {
        sender.producer.begin().unwrap();
        soon(sender.producer.commit()).await.unwrap();
        sender.producer.begin().unwrap();
        soon(sender.producer.abort()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_what_is_in_flight_over_all_transactions() {
    let topic = TestTopic::create("bounds", 1).await;
    let limits = Limits {
        max_in_flight_records: 10,
        ..Limits::default()
    };
    let options = KafkaOptions::new(brokers());
    let mut sender = Transmitter::open_with(&options, limits, &unique_id()).await;
    let good = record(&topic.name, b"k", b"v");
    for _ in 0..2 {
        sender.producer.begin().unwrap();
        for _ in 0..5 {
            sender.try_send(good).unwrap();
        }
        // Deliveries that nobody took count on.
        soon(sender.producer.commit()).await.unwrap();
    }
    sender.producer.begin().unwrap();
    assert!(matches!(sender.try_send(good), Err(SendError::Full)));
    sender.take();
    sender.try_send(good).unwrap();
    soon(sender.producer.commit()).await.unwrap();
    assert_eq!(values(&topic).await.len(), 11);
}

/// librdkafka sends nothing more of a transaction that has failed. What it took shortly before that is known stays with it, unsent
/// and unreported, until the transaction is aborted.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_does_not_wait_for_records_that_are_never_sent() {
    let topic = TestTopic::with_small_batches("never-sent", 20_000).await;
    // Not to be compressed to something small.
    let large: Vec<u8> = std::iter::repeat_with(|| cdc_event::random_number().to_be_bytes())
        .take(7_500)
        .flatten()
        .collect();
    for taken_before in [true, false] {
        let mut sender = Transmitter::open(&unique_id()).await;
        sender.producer.begin().unwrap();
        sender.send(record(&topic.name, b"k", &large)).await;
        loop {
            match sender.try_send(record(&topic.name, b"k", b"small")) {
                Ok(()) | Err(SendError::Full) => {}
                Err(SendError::Failed(error)) if error.is_failed_transaction() => break,
                Err(SendError::Failed(error)) => panic!("{error:?}"),
            }
        }
        if taken_before {
            soon(sender.producer.producer().delivered()).await;
            sender.take();
        }
        let committing = tokio::time::timeout(Duration::from_secs(10), sender.producer.commit());
        let failed = committing.await.expect("it waits").unwrap_err();
        assert!(
            matches!(failed, TransactionError::Abortable(_)),
            "{failed:?}"
        );
        soon(sender.producer.abort()).await.unwrap();
        sender.drain().await;
    }
    assert_eq!(values(&topic).await, [""; 0]);
}
