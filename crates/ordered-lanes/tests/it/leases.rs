//! Lanes that are claimed, kept, and lost.

use std::sync::Arc;
use std::time::Duration;

use ordered_lanes::{DeadHead, Error, WorkerSettings, claim_due};
use tokio::time::sleep;

use crate::database::Database;
use crate::records::{GROUP, HOUR, again};
use crate::scripted::{Running, Script, Scripted, TICK, lanes_of, settings, until};

#[tokio::test]
async fn a_lease_lasts_as_long_as_its_handler() {
    let database = Database::create().await;
    lanes_of(&database, &[(0, "a")]).await;
    let handler = Scripted::new([(0, Script::Hang)]);
    let short = WorkerSettings {
        lease: 30 * TICK,
        ..settings()
    };
    let first = Running::start(&database, &handler, short.clone()).await;
    let second = Running::start(&database, &handler, short.clone()).await;
    until("the call", || handler.calls().len() == 1).await;
    sleep(4 * short.lease).await;
    handler.go_on.notify_one();
    until("the end", || !handler.succeeded().is_empty()).await;
    first.stop().await.unwrap();
    second.stop().await.unwrap();
    assert_eq!((handler.calls().len(), handler.dropped()), (1, 0));
}

#[tokio::test]
async fn a_handler_is_dropped_when_its_lane_is_anothers() {
    let database = Database::create().await;
    lanes_of(&database, &[(0, "a")]).await;
    let handler = Scripted::new([(0, Script::Hang)]);
    let running = Running::start(
        &database,
        &handler,
        WorkerSettings {
            lease: 30 * TICK,
            ..settings()
        },
    )
    .await;
    until("the call", || handler.calls().len() == 1).await;
    database
        .execute("UPDATE cdc.lane SET lease_token = gen_random_uuid(), due_at = now() + interval '1 hour'")
        .await;
    until("the drop", || handler.dropped() == 1).await;
    running.stop().await.unwrap();
    assert!(handler.succeeded().is_empty());
    assert_eq!(
        database
            .text("SELECT attempts FROM cdc.lane_event")
            .await
            .as_deref(),
        Some("1")
    );
}

#[tokio::test]
async fn another_worker_takes_over_from_one_that_was_killed() {
    let database = Database::create().await;
    lanes_of(&database, &[(0, "a"), (1, "a")]).await;
    let handler = Scripted::new([(0, Script::Hang)]);
    let killed = Running::start(
        &database,
        &handler,
        WorkerSettings {
            lease: 50 * TICK,
            ..settings()
        },
    )
    .await;
    until("the call", || handler.calls().len() == 1).await;
    drop(killed);
    let heir = Scripted::new([]);
    let running = Running::start(&database, &heir, settings()).await;
    until("the heir", || heir.succeeded().len() == 2).await;
    running.stop().await.unwrap();
    assert_eq!(heir.succeeded(), [0, 1]);
}

#[tokio::test]
async fn how_many_workers_did_not_come_back_is_counted_until_one_does() {
    let database = Database::create().await;
    lanes_of(&database, &[(0, "a"), (1, "a")]).await;
    let lanes = Arc::new(database.lanes().await);
    for _ in 0..5 {
        let dying = claim_due(&lanes, GROUP, 1, Duration::ZERO).await.unwrap();
        assert_eq!(dying.len(), 1);
    }
    let mut lane = claim_due(&lanes, GROUP, 1, HOUR).await.unwrap().remove(0);
    let head = lane.next().await.unwrap().unwrap();
    assert_eq!((head.record.origin.offset, head.abandoned), (0, 5));
    lane.succeeded(head.id).await.unwrap();
    let next = lane.next().await.unwrap().unwrap();
    assert_eq!((next.record.origin.offset, next.abandoned), (1, 0));
}

#[tokio::test]
async fn a_worker_that_lost_its_lane_changes_nothing_in_it() {
    let database = Database::create().await;
    lanes_of(&database, &[(0, "a"), (1, "a")]).await;
    let lanes = Arc::new(database.lanes().await);
    let mut slow = claim_due(&lanes, GROUP, 1, Duration::ZERO)
        .await
        .unwrap()
        .remove(0);
    let head = slow.next().await.unwrap().unwrap();
    let mut other = claim_due(&lanes, GROUP, 1, HOUR).await.unwrap().remove(0);
    for error in [
        slow.next().await.unwrap_err(),
        slow.renew().await.unwrap_err(),
        slow.succeeded(head.id).await.unwrap_err(),
        slow.failed(head.id, &again(Duration::ZERO), DeadHead::Hold)
            .await
            .unwrap_err(),
        slow.release().await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::LeaseLost), "{error:?}");
    }
    assert!(claim_due(&lanes, GROUP, 1, HOUR).await.unwrap().is_empty());
    let same = other.next().await.unwrap().unwrap();
    assert_eq!((same.id, same.attempts), (head.id, head.attempts));
    other.succeeded(same.id).await.unwrap();
}
