//! Each event to each endpoint once, whatever comes twice.

use std::time::Duration;

use cdc_event::{Failure, Headers, KafkaPosition};
use notifier::{DeliveryState, Settings};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::receiver::Behaviour;
use crate::stage::{
    MARGIN, Stage, TIMEOUT, handle, only_part, only_underway, part, parts, record, settings,
};

#[tokio::test]
async fn the_same_event_from_another_place_is_not_sent_again() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    let notifier = stage.notifier().await;
    for (partition, offset) in [(0, 1), (0, 2), (5, 1)] {
        let mut record = record("1");
        record.origin = KafkaPosition {
            topic: "posts".into(),
            partition,
            offset,
        };
        handle(&notifier, &record).await.unwrap();
    }
    handle(&notifier, &part("1", "a")).await.unwrap();
    assert_eq!(stage.receiver.ids("a"), ["1"]);
}

#[tokio::test]
async fn events_without_id_at_the_same_offset_of_two_partitions_are_two() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    let notifier = stage.notifier().await;
    for partition in [0, 1] {
        let mut record = record("");
        record.headers = Headers::new();
        record.origin.partition = partition;
        handle(&notifier, &record).await.unwrap();
        handle(&notifier, &record).await.unwrap();
    }
    assert_eq!(stage.receiver.ids("a"), ["posts-0-1", "posts-1-1"]);
}

#[tokio::test]
async fn two_processes_that_race_send_once() {
    const EVENTS: usize = 100;
    let stage = Stage::new().await;
    stage.endpoint_with("a", "max_concurrency = 100").await;
    stage
        .endpoint_with("b", "max_concurrency = 100, guarantee = 'at_most_once'")
        .await;
    let notifiers = [
        std::sync::Arc::new(stage.notifier().await),
        std::sync::Arc::new(stage.notifier().await),
    ];
    let mut racing = JoinSet::new();
    for event in 0..EVENTS {
        for notifier in &notifiers {
            let notifier = std::sync::Arc::clone(notifier);
            racing.spawn(async move {
                let mut record = record(&format!("e{event}"));
                // Whoever loses comes again, as a consumer lets it.
                while let Err(failure) = handle(&notifier, &record).await {
                    assert!(matches!(failure, Failure::Partial { .. }), "{failure:?}");
                    record.origin.offset += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
        }
    }
    racing.join_all().await;
    for path in ["a", "b"] {
        let mut ids = stage.receiver.ids(path);
        assert_eq!(ids.len(), EVENTS);
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), EVENTS, "sent twice");
    }
}

#[tokio::test]
async fn a_copy_that_comes_while_the_first_is_in_flight_is_not_sent() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    let (release, released) = watch::channel(false);
    stage.receiver.set("a", Behaviour::Hold(released));
    let (one, two) = (
        std::sync::Arc::new(stage.notifier().await),
        stage.notifier().await,
    );
    let mut first = JoinSet::new();
    first.spawn({
        let one = std::sync::Arc::clone(&one);
        async move { handle(&one, &record("1")).await }
    });
    stage.receiver.wait_for(1).await;
    for notifier in [&*one, &two] {
        let (code, after) = only_underway(handle(notifier, &record("1")).await);
        assert_eq!(code, "delivery-in-flight");
        assert!(after <= TIMEOUT + MARGIN, "{after:?}");
    }
    release.send_replace(true);
    // It may have waited no longer than a record waits for an endpoint; the delivery went on by itself.
    first.join_next().await.unwrap().unwrap().ok();
    stage
        .wait_for_state("1", "a", DeliveryState::Delivered)
        .await;
    handle(&two, &part("1", "a")).await.unwrap();
    assert_eq!(stage.receiver.ids("a"), ["1"]);
}

#[tokio::test]
async fn nobody_else_sends_while_a_slow_endpoint_takes_its_time() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    stage.receiver.set(
        "a",
        Behaviour::AnswerAfter(Duration::from_millis(1200), 200),
    );
    let (one, two) = (stage.notifier().await, stage.notifier().await);
    let (code, _) = only_underway(handle(&one, &record("1")).await);
    assert_eq!(code, "delivery-overdue");
    while stage.state("1", "a").await != Some(DeliveryState::Delivered) {
        handle(&two, &part("1", "a")).await.ok();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    handle(&two, &part("1", "a")).await.unwrap();
    assert_eq!(stage.receiver.ids("a"), ["1"]);
}

#[tokio::test]
async fn a_first_try_that_failed_is_not_taken_for_done() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    stage.receiver.set("a", Behaviour::Answer(500));
    let notifier = stage.notifier().await;
    assert_eq!(
        only_part(handle(&notifier, &record("1")).await),
        ("webhook-server-error".into(), true)
    );
    assert_eq!(stage.state("1", "a").await, Some(DeliveryState::Retrying));
    stage.receiver.set("a", Behaviour::Answer(200));
    handle(&notifier, &record("1")).await.unwrap();
    assert_eq!(stage.receiver.ids("a"), ["1", "1"]);
}

#[tokio::test]
async fn a_retry_sends_to_the_endpoint_that_failed_and_to_no_other() {
    let stage = Stage::new().await;
    for id in ["a", "b", "c"] {
        stage.endpoint(id).await;
    }
    stage.receiver.set("b", Behaviour::Answer(503));
    let notifier = stage.notifier().await;
    let failed = parts(handle(&notifier, &record("1")).await);
    assert_eq!(
        failed,
        [("b".to_owned(), "webhook-server-error".to_owned(), true)]
    );
    stage.receiver.set("b", Behaviour::Answer(200));
    handle(&notifier, &part("1", "b")).await.unwrap();
    // The record comes again as a whole, as after a crash.
    handle(&notifier, &record("1")).await.unwrap();
    let counts = ["a", "b", "c"].map(|path| stage.receiver.ids(path).len());
    assert_eq!(counts, [1, 2, 1]);
}

#[tokio::test]
async fn what_was_refused_fails_again_without_being_sent_and_is_sent_when_it_is_asked_for() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    stage.receiver.set("a", Behaviour::Answer(403));
    let notifier = stage.notifier().await;
    for _ in 0..2 {
        assert_eq!(
            only_part(handle(&notifier, &record("1")).await),
            ("webhook-client-error".into(), false)
        );
    }
    assert_eq!(stage.receiver.ids("a").len(), 1);
    stage.receiver.set("a", Behaviour::Answer(200));
    handle(&notifier, &part("1", "a")).await.unwrap();
    assert_eq!(stage.receiver.ids("a").len(), 2);
    assert_eq!(stage.state("1", "a").await, Some(DeliveryState::Delivered));
}

#[tokio::test]
async fn forgets_what_is_old_in_batches_and_nothing_else() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    stage
        .database
        .execute(
            "INSERT INTO cdc.delivery (event_id, endpoint_id, state, at_most_once, created_at)
                 SELECT 'old' || n, 'a', 'delivered', false, now() - interval '8 days' FROM generate_series(1, 2500) AS n;
             INSERT INTO cdc.delivery (event_id, endpoint_id, state, code, at_most_once, created_at)
                 VALUES ('doubt', 'a', 'unknown', 'delivery-unknown', true, now() - interval '8 days');
             INSERT INTO cdc.delivery (event_id, endpoint_id, state, owner, lease_until, at_most_once, created_at)
                 VALUES ('held', 'a', 'claimed', 'x', now() + interval '1 hour', false, now() - interval '8 days');",
        )
        .await;
    let notifier = stage.notifier().await;
    handle(&notifier, &record("new")).await.unwrap();
    let week = Duration::from_secs(7 * 86_400);
    assert_eq!(stage.deliveries().prune(week, 1000).await.unwrap(), 2500);
    let left = stage
        .database
        .text("SELECT string_agg(event_id, ' ' ORDER BY event_id) FROM cdc.delivery")
        .await;
    assert_eq!(left.unwrap(), "doubt held new");
    handle(&notifier, &record("new")).await.unwrap();
    assert_eq!(stage.receiver.ids("a"), ["new"]);
}

#[tokio::test]
async fn everything_that_was_begun_is_written_down_at_a_stop() {
    let stage = Stage::new().await;
    stage.endpoint_with("a", "max_concurrency = 50").await;
    stage
        .receiver
        .set("a", Behaviour::AnswerAfter(Duration::from_millis(400), 200));
    let notifier = std::sync::Arc::new(
        stage
            .notifier_with(Settings {
                patience: Duration::from_millis(50),
                ..settings()
            })
            .await,
    );
    // Overdue before it is answered.
    assert_eq!(
        only_underway(handle(&notifier, &record("1")).await).0,
        "delivery-overdue"
    );
    let notifier = std::sync::Arc::into_inner(notifier).unwrap();
    assert!(notifier.close(Duration::from_secs(10)).await);
    assert_eq!(stage.state("1", "a").await, Some(DeliveryState::Delivered));
}
