//! The worker that runs a handler.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use ordered_lanes::{DeadHead, WorkerError, WorkerSettings, claim_due};
use tokio::time::{Instant, timeout};

use crate::database::Database;
use crate::records::{GROUP, HOUR, again, guard, record};
use crate::scripted::{
    LONG, Running, Script, Scripted, TICK, lanes_of, settings, until, until_text,
};

#[tokio::test]
async fn runs_each_lane_in_order_however_often_a_head_fails() {
    let database = Database::create().await;
    lanes_of(
        &database,
        &[(0, "a"), (1, "a"), (2, "b"), (3, "a"), (4, "b")],
    )
    .await;
    let handler = Scripted::new([(0, Script::Fail(4)), (3, Script::Fail(2))]);
    let running = Running::start(&database, &handler, settings()).await;
    until("all", || handler.succeeded().len() == 5).await;
    running.stop().await.unwrap();
    let of = |offsets: &[i64]| -> Vec<i64> {
        handler
            .succeeded()
            .into_iter()
            .filter(|done| offsets.contains(done))
            .collect()
    };
    assert_eq!(of(&[0, 1, 3]), [0, 1, 3]);
    assert_eq!(of(&[2, 4]), [2, 4]);
    // The consumer's attempt was the first of 0; 3 only waited, so its first one is here.
    let attempts = |offset| -> Vec<u32> {
        handler
            .calls()
            .iter()
            .filter(|call| call.0 == offset)
            .map(|call| call.1)
            .collect()
    };
    assert_eq!(attempts(0), [2, 3, 4, 5]);
    assert_eq!(attempts(3), [1, 2, 3]);
}

#[tokio::test]
async fn one_lane_that_hangs_holds_up_no_other() {
    let database = Database::create().await;
    lanes_of(&database, &[(0, "a"), (1, "b"), (2, "c"), (3, "b")]).await;
    let handler = Scripted::new([(0, Script::Hang)]);
    let running = Running::start(&database, &handler, settings()).await;
    until("the others", || handler.succeeded().len() == 3).await;
    handler.go_on.notify_one();
    until("the one", || handler.succeeded().len() == 4).await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_fatal_failure_ends_the_worker_and_counts_for_nothing() {
    let database = Database::create().await;
    lanes_of(&database, &[(0, "a")]).await;
    let handler = Scripted::new([(0, Script::Fatal)]);
    let mut running = Running::start(&database, &handler, settings()).await;
    let ended = timeout(LONG, running.task.join_next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(
        matches!(ended, Err(WorkerError::Handler { .. })),
        "{ended:?}"
    );
    assert_eq!(
        database
            .text("SELECT attempts FROM cdc.lane_event")
            .await
            .as_deref(),
        Some("1")
    );
    let lanes = Arc::new(database.lanes().await);
    assert_eq!(
        claim_due(&lanes, GROUP, 1, HOUR).await.unwrap().len(),
        1,
        "another may take it at once"
    );
}

#[tokio::test]
async fn a_stop_waits_for_the_handler_and_takes_no_further_record() {
    let database = Database::create().await;
    lanes_of(&database, &[(0, "a"), (1, "a")]).await;
    let handler = Scripted::new([(0, Script::Hang)]);
    let mut running = Running::start(&database, &handler, settings()).await;
    until("the call", || handler.calls().len() == 1).await;
    running.stop.cancel();
    timeout(10 * TICK, running.task.join_next())
        .await
        .unwrap_err();
    handler.go_on.notify_one();
    timeout(LONG, running.task.join_next())
        .await
        .unwrap()
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!((handler.succeeded(), handler.calls().len()), (vec![0], 1));
    let due = "SELECT count(*) FROM cdc.lane WHERE due_at <= now() AND lease_token IS NULL";
    assert_eq!(database.text(due).await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_stop_does_not_wait_longer_than_the_drain() {
    let database = Database::create().await;
    lanes_of(&database, &[(0, "a")]).await;
    let handler = Scripted::new([(0, Script::Hang)]);
    let running = Running::start(
        &database,
        &handler,
        WorkerSettings {
            drain: 5 * TICK,
            ..settings()
        },
    )
    .await;
    until("the call", || handler.calls().len() == 1).await;
    timeout(LONG / 2, running.stop()).await.unwrap().unwrap();
    assert_eq!((handler.dropped(), handler.succeeded()), (1, vec![]));
    let due = "SELECT count(*) FROM cdc.lane WHERE due_at <= now() AND lease_token IS NULL";
    assert_eq!(database.text(due).await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_success_is_recorded_although_the_connection_was_lost_meanwhile() {
    let database = Database::create().await;
    lanes_of(&database, &[(0, "a"), (1, "a")]).await;
    let handler = Scripted::new([(0, Script::Hang)]);
    let running = Running::start(&database, &handler, settings()).await;
    until("the call", || handler.calls().len() == 1).await;
    database.disconnect_others().await;
    handler.go_on.notify_one();
    until("the next one", || handler.succeeded().len() == 2).await;
    running.stop().await.unwrap();
    assert_eq!(handler.calls(), [(0, 2), (1, 1)]);
}

#[tokio::test]
async fn a_long_lane_lets_others_have_their_turn() {
    let database = Database::create().await;
    let long: Vec<(i64, &str)> = (0..20)
        .map(|offset| (offset, "a"))
        .chain([(20, "b")])
        .collect();
    lanes_of(&database, &long).await;
    let handler = Scripted::new([]);
    let one = WorkerSettings {
        concurrency: NonZeroUsize::MIN,
        turn: Duration::ZERO,
        ..settings()
    };
    let running = Running::start(&database, &handler, one).await;
    until("all", || handler.succeeded().len() == 21).await;
    running.stop().await.unwrap();
    let place = handler
        .succeeded()
        .iter()
        .position(|offset| *offset == 20)
        .unwrap();
    assert!(place <= 2, "{place}");
    assert!(
        handler
            .succeeded()
            .iter()
            .filter(|offset| **offset != 20)
            .is_sorted()
    );
}

#[tokio::test]
async fn nothing_is_tried_before_it_is_due() {
    let database = Database::create().await;
    let lanes = Arc::new(database.lanes().await);
    let guard = guard(&lanes, 0, 0).await;
    let wait = Duration::from_millis(400);
    let started = Instant::now();
    guard
        .park(&record(0, 0, Some("a")), &again(wait))
        .await
        .unwrap();
    let handler = Scripted::new([]);
    let running = Running::start(&database, &handler, settings()).await;
    until("the call", || handler.calls().len() == 1).await;
    assert!(started.elapsed() >= wait, "{:?}", started.elapsed());
    running.stop().await.unwrap();
}

async fn with_dead_head(policy: DeadHead) -> (Vec<i64>, Option<String>, u64) {
    let database = Database::create().await;
    lanes_of(&database, &[(0, "a"), (1, "a"), (2, "a"), (3, "b")]).await;
    let handler = Scripted::new([(1, Script::Poison)]);
    let running = Running::start(
        &database,
        &handler,
        WorkerSettings {
            dead_head: policy,
            ..settings()
        },
    )
    .await;
    until("the other key", || handler.succeeded().contains(&3)).await;
    until_text(
        &database,
        "SELECT count(*) FROM cdc.lane WHERE due_at IS NOT NULL",
        "0",
    )
    .await;
    running.stop().await.unwrap();
    let done = handler
        .succeeded()
        .into_iter()
        .filter(|offset| *offset != 3)
        .collect();
    let left = "SELECT string_agg(origin_offset || ' ' || status, ', ' ORDER BY position) FROM cdc.lane_event";
    let waiting = database
        .lanes()
        .await
        .stats(GROUP)
        .await
        .unwrap()
        .waiting_events;
    (done, database.text(left).await, waiting)
}

#[tokio::test]
async fn what_is_behind_a_dead_head_is_held() {
    let (done, left, waiting) = with_dead_head(DeadHead::Hold).await;
    assert_eq!(
        (done, left.as_deref(), waiting),
        (vec![0], Some("1 held, 2 open"), 2)
    );
}

#[tokio::test]
async fn what_is_behind_a_dead_head_goes_on_and_the_gap_is_marked() {
    let (done, left, waiting) = with_dead_head(DeadHead::Skip).await;
    assert_eq!(
        (done, left.as_deref(), waiting),
        (vec![0, 2], Some("1 skipped"), 0)
    );
}

#[tokio::test]
async fn what_is_behind_a_dead_head_is_given_up_with_it() {
    let (done, left, waiting) = with_dead_head(DeadHead::DeadLetterLane).await;
    assert_eq!(
        (done, left.as_deref(), waiting),
        (vec![0], Some("1 dead_lettered, 2 dead_lettered"), 0)
    );
}
