//! A dead letter becomes a row, once, with all that it tells.

use std::time::Duration;

use cdc_event::{Attempt, Handler, KafkaPosition, PartId};
use cdc_store::{Origin, Status, Target};
use dead_letters::Ingest;
use tokio::task::JoinSet;

use crate::database::Database;
use crate::letters::{
    Entries, Running, TIMESTAMP, first_failed_at, letter, letter_headers, own, record, spawned,
};

#[tokio::test]
async fn stores_all_that_a_dead_letter_tells() {
    let database = Database::create().await;
    let running = Running::start(&database);
    let began = first_failed_at();
    running.store(&letter(0, 17, 4)).await.unwrap();
    let events = database.events().await;
    assert_eq!(events.len(), 1);
    let (event, contents) = (&events[0].event, &events[0].contents);
    let position = |topic: &str, offset| KafkaPosition {
        topic: topic.into(),
        partition: 2,
        offset,
    };
    let origin = Origin::Consumer {
        group: "billing".into(),
        record: position("orders", 17),
        part: None,
    };
    assert_eq!(event.origin, origin);
    let target = Target {
        topic: "orders.billing.retry-1".into(),
        partition: Some(2),
    };
    assert_eq!(event.target, Some(target));
    assert_eq!(event.event_id.as_deref(), Some("e1"));
    assert_eq!((event.status, event.attempts), (Status::Open, 4));
    assert_eq!(event.error.code(), "webhook-status");
    assert_eq!(event.error.message(), "the endpoint answered 500");
    assert_eq!(event.error.chain(), ["first cause", "second cause"]);
    assert_eq!(event.error.backtrace(), Some("   0: main"));
    let apart = event.first_failed_at.duration_since(began).unwrap();
    assert!(apart < Duration::from_secs(60), "{apart:?}");
    assert!(event.last_failed_at > event.first_failed_at);
    assert_eq!(contents.key.as_deref(), Some(&b"42"[..]));
    assert_eq!(contents.payload.as_deref(), Some(&b"{\"n\":1}"[..]));
    assert_eq!(contents.headers, own());
    assert_eq!(contents.timestamp_ms, Some(TIMESTAMP));
}

#[tokio::test]
async fn keeps_a_null_key_and_a_null_value_apart_from_empty_ones() {
    let database = Database::create().await;
    let running = Running::start(&database);
    let (mut null, mut empty) = (letter(0, 1, 1), letter(1, 2, 1));
    (null.key, null.value) = (None, None);
    (empty.key, empty.value) = (Some(Vec::new()), Some(Vec::new()));
    for record in [&null, &empty] {
        running.store(record).await.unwrap();
    }
    let stored: Vec<_> = database
        .events()
        .await
        .into_iter()
        .map(|event| (event.contents.key, event.contents.payload))
        .collect();
    assert_eq!(stored, [(null.key, null.value), (empty.key, empty.value)]);
}

#[tokio::test]
async fn a_record_that_comes_again_is_the_same_event() {
    let database = Database::create().await;
    let running = Running::start(&database);
    for _ in 0..3 {
        running.store(&letter(0, 17, 4)).await.unwrap();
    }
    let events = database.events().await;
    assert_eq!((events.len(), events[0].event.attempts), (1, 4));
}

#[tokio::test]
async fn each_failed_part_is_an_event() {
    let database = Database::create().await;
    let running = Running::start(&database);
    for (at, part) in [(0, "ep_1"), (1, "ep_2"), (2, "ep_1")] {
        let headers = letter_headers("orders", 17, 1, Some(part));
        running.store(&record(at, headers)).await.unwrap();
    }
    let parts: Vec<_> = database
        .events()
        .await
        .into_iter()
        .map(|details| match details.event.origin {
            Origin::Consumer { part, .. } => part,
            Origin::Relay { .. } => None,
        })
        .collect();
    let part = |name: &str| Some(PartId::new(name).unwrap());
    assert_eq!(parts, [part("ep_1"), part("ep_2")]);
}

#[tokio::test]
async fn a_dead_letter_of_another_group_is_stored_but_not_replayed_into_ours() {
    let database = Database::create().await;
    let (ingest, writer) = Ingest::new(database.options().clone(), "mail", Entries);
    let _writer = spawned(writer);
    let mut headers = own();
    headers.push("x", None);
    let stored = ingest.handle(&record(5, headers), Attempt::FIRST).await;
    stored.unwrap();
    let event = &database.events().await[0].event;
    let dead_letter = record(5, own()).origin;
    let origin = Origin::Consumer {
        group: "mail".into(),
        record: dead_letter,
        part: None,
    };
    assert_eq!((&event.origin, &event.target), (&origin, &None));
}

#[tokio::test]
async fn many_at_once_are_stored_each() {
    let database = Database::create().await;
    let (ingest, writer) = Ingest::new(database.options().clone(), "billing", Entries);
    let _writer = spawned(writer);
    let ingest = std::sync::Arc::new(ingest);
    let mut storing = JoinSet::new();
    for offset in 0..2000 {
        let ingest = std::sync::Arc::clone(&ingest);
        storing.spawn(async move {
            ingest
                .handle(&letter(offset, offset, 1), Attempt::FIRST)
                .await
                .unwrap();
        });
    }
    storing.join_all().await;
    let mut store = database.store().await;
    let stats = store.stats(10).await.unwrap();
    assert_eq!((stats.statuses[0].events, stats.groups.len()), (2000, 1));
}

#[tokio::test]
async fn the_writer_ends_when_nobody_can_give_it_anything() {
    let database = Database::create().await;
    let (ingest, writer) = Ingest::new(database.options().clone(), "billing", Entries);
    let mut tasks = spawned(writer);
    drop(ingest);
    let ended = tokio::time::timeout(Duration::from_secs(20), tasks.join_next()).await;
    ended.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn keeps_a_record_that_no_dead_letter_topic_takes() {
    let database = Database::create().await;
    let running = Running::start(&database);
    let source = letter(0, 17, 4);
    let read = failure_headers::read_dead_letter(&source.headers);
    let failed = failure_headers::Failed {
        group: "billing",
        origin: &read.origin.unwrap(),
        original_timestamp_ms: read.original_timestamp_ms,
        part: None,
        attempts: read.attempts.unwrap(),
        first_failed_at: read.first_failed_at.unwrap(),
        report: &read.report.unwrap(),
        failed_event: None,
    };
    let source = cdc_event::Record {
        headers: read.own,
        ..source
    };
    running.ingest.keep(&source, &failed).await.unwrap();
    let kept = database.events().await.remove(0);
    // As if it had gone through a dead-letter topic.
    running.store(&letter(0, 17, 4)).await.unwrap();
    let events = database.events().await;
    assert_eq!(events.len(), 1);
    assert_eq!(
        (&kept.event.origin, &kept.event.error),
        (&events[0].event.origin, &events[0].event.error)
    );
    assert_eq!(kept.contents, events[0].contents);
}
