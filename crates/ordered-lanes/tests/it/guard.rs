//! The consumer's side: what waits, and for what.

use std::sync::Arc;
use std::time::Duration;

use cdc_event::Admission;
use ordered_lanes::{DeadHead, Disposition, Error, GuardLimits, LaneGuard, Rest, claim_due};
use tokio::time::timeout;

use crate::database::Database;
use crate::model::{FailPoint, Faulty};
use crate::records::{
    GROUP, HOLD, HOUR, SOON, again, assignment, attempt, drain, guard, offsets, record,
};

#[tokio::test]
async fn what_follows_a_failed_record_waits_and_other_keys_go_on() {
    let database = Database::create().await;
    let lanes = Arc::new(database.lanes().await);
    let guard = guard(&lanes, 0, 0).await;
    let (first, second, other) = (
        record(0, 0, Some("a")),
        record(0, 1, Some("a")),
        record(0, 2, Some("b")),
    );
    assert_eq!(guard.admit(&first).await.unwrap(), Admission::Process);
    guard.park(&first, &again(Duration::ZERO)).await.unwrap();
    assert_eq!(guard.admit(&second).await.unwrap(), Admission::Parked);
    assert_eq!(guard.admit(&other).await.unwrap(), Admission::Process);
    assert_eq!(guard.open_keys(), 1);

    let handled = drain(&lanes).await;
    assert_eq!(
        handled
            .iter()
            .map(|event| &event.record)
            .collect::<Vec<_>>(),
        [&first, &second],
        "byte for byte"
    );
    assert_eq!(
        handled
            .iter()
            .map(|event| event.attempts)
            .collect::<Vec<_>>(),
        [1, 0],
        "followers have not failed"
    );
    assert_eq!(
        guard.admit(&record(0, 3, Some("a"))).await.unwrap(),
        Admission::Process
    );
    assert_eq!(guard.open_keys(), 0);
}

#[tokio::test]
async fn a_head_that_fails_three_times_is_never_overtaken() {
    let database = Database::create().await;
    let lanes = Arc::new(database.lanes().await);
    let guard = guard(&lanes, 0, 0).await;
    guard
        .park(&record(0, 0, Some("a")), &again(Duration::ZERO))
        .await
        .unwrap();
    for offset in [1, 2] {
        assert_eq!(
            guard.admit(&record(0, offset, Some("a"))).await.unwrap(),
            Admission::Parked
        );
    }
    for attempts in 1..=3 {
        let mut claimed = claim_due(&lanes, GROUP, 10, HOUR).await.unwrap();
        assert_eq!(claimed.len(), 1);
        let head = claimed[0].next().await.unwrap().unwrap();
        assert_eq!((head.record.origin.offset, head.attempts), (0, attempts));
        let mut left = again(Duration::ZERO);
        left[0].attempt = attempt(attempts + 1);
        assert_eq!(
            claimed[0]
                .failed(head.id, &left, DeadHead::Hold)
                .await
                .unwrap(),
            Rest::Released
        );
    }
    assert_eq!(offsets(&drain(&lanes).await), [0, 1, 2]);
}

#[tokio::test]
async fn a_key_without_failure_costs_no_call() {
    let database = Database::create().await;
    let lanes = Arc::new(database.lanes().await);
    let guard = guard(&lanes, 0, 0).await;
    guard
        .park(&record(0, 0, Some("a")), &again(HOUR))
        .await
        .unwrap();
    database
        .execute("ALTER FUNCTION cdc.lane_put RENAME TO elsewhere")
        .await;
    assert_eq!(
        guard.admit(&record(0, 1, Some("b"))).await.unwrap(),
        Admission::Process
    );
    guard.admit(&record(0, 2, Some("a"))).await.unwrap_err();
}

#[tokio::test]
async fn records_without_key_wait_for_nobody() {
    let database = Database::create().await;
    let lanes = Arc::new(database.lanes().await);
    let guard = guard(&lanes, 0, 0).await;
    for offset in 0..3 {
        let record = record(0, offset, None);
        assert_eq!(guard.admit(&record).await.unwrap(), Admission::Process);
        guard.park(&record, &again(Duration::ZERO)).await.unwrap();
    }
    let claimed = claim_due(&lanes, GROUP, 10, HOUR).await.unwrap();
    assert_eq!(claimed.len(), 3);
    assert_eq!(
        guard.admit(&record(0, 3, Some(""))).await.unwrap(),
        Admission::Process,
        "an empty key is a key"
    );
}

#[tokio::test]
async fn a_record_is_put_in_once_however_often_it_is_tried() {
    let database = Database::create().await;
    let lanes = Arc::new(Faulty::new(Arc::new(database.lanes().await)));
    let guard = guard(&lanes, 0, 0).await;
    let (first, second) = (record(0, 0, Some("a")), record(0, 1, Some("a")));
    lanes.arm(Some(FailPoint::After));
    guard
        .park(&first, &again(Duration::ZERO))
        .await
        .unwrap_err();
    // It may be in: nothing of the key goes past it.
    assert_eq!(guard.admit(&second).await.unwrap(), Admission::Parked);
    guard.park(&first, &again(Duration::ZERO)).await.unwrap();
    lanes.arm(Some(FailPoint::After));
    guard.admit(&record(0, 2, Some("a"))).await.unwrap_err();
    assert_eq!(
        guard.admit(&record(0, 2, Some("a"))).await.unwrap(),
        Admission::Parked
    );
    assert_eq!(offsets(&drain(&lanes.inner).await), [0, 1, 2]);
}

#[tokio::test]
async fn a_record_that_cannot_be_put_in_leaves_no_lock() {
    let database = Database::create().await;
    let lanes = Arc::new(database.lanes().await);
    let guard = guard(&lanes, 0, 0).await;
    database
        .execute("ALTER TABLE cdc.lane ADD CONSTRAINT none CHECK (false) NOT VALID")
        .await;
    let error = guard
        .park(&record(0, 0, Some("a")), &again(HOUR))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Postgres { .. }), "{error:?}");
    for table in ["lane", "lane_event"] {
        let count = database
            .text(&format!("SELECT count(*) FROM cdc.{table}"))
            .await;
        assert_eq!(count.as_deref(), Some("0"), "{table}");
    }
    database
        .execute("ALTER TABLE cdc.lane DROP CONSTRAINT none")
        .await;
    assert_eq!(
        guard.admit(&record(0, 1, Some("a"))).await.unwrap(),
        Admission::Process
    );
    assert_eq!(guard.open_keys(), 0);
}

#[tokio::test]
async fn a_follower_that_comes_while_the_last_one_ends_is_handled_and_not_lost() {
    let database = Database::create().await;
    let lanes = Arc::new(database.lanes().await);
    let guard = guard(&lanes, 0, 0).await;
    guard
        .park(&record(0, 0, Some("a")), &again(Duration::ZERO))
        .await
        .unwrap();
    let mut claimed = claim_due(&lanes, GROUP, 10, HOUR).await.unwrap();
    let head = claimed[0].next().await.unwrap().unwrap();
    let mut client = database.client().await;
    let ending = client.transaction().await.unwrap();
    let settle = format!(
        "SELECT cdc.lane_settle(id, lease_token, {}, 60, NULL, NULL) FROM cdc.lane",
        head.id
    );
    ending.batch_execute(&settle).await.unwrap();

    let follower = record(0, 1, Some("a"));
    let admitting = guard.admit(&follower);
    let mut admitting = std::pin::pin!(admitting);
    timeout(SOON, admitting.as_mut()).await.unwrap_err();
    ending.commit().await.unwrap();
    assert_eq!(admitting.await.unwrap(), Admission::Process);
}

#[tokio::test]
async fn as_many_keys_are_open_as_may_be() {
    let database = Database::create().await;
    let lanes = Arc::new(database.lanes().await);
    let limits = GuardLimits {
        open_keys: 2,
        ..HOLD
    };
    let guard = LaneGuard::take_over(Arc::clone(&lanes), assignment(0), None, limits)
        .await
        .unwrap();
    for (offset, key) in [(0, "a"), (1, "b")] {
        guard
            .park(&record(0, offset, Some(key)), &again(Duration::ZERO))
            .await
            .unwrap();
    }
    let third = record(0, 2, Some("c"));
    let error = guard.park(&third, &again(HOUR)).await.unwrap_err();
    assert!(matches!(error, Error::Full { open: 2, .. }), "{error:?}");
    assert_eq!(error.disposition(), Disposition::Transient);
    assert_eq!(
        guard.admit(&record(0, 3, Some("a"))).await.unwrap(),
        Admission::Parked,
        "open ones go on"
    );
    assert_eq!(drain(&lanes).await.len(), 3);
    guard.forget(2).await.unwrap();
    assert_eq!(guard.open_keys(), 1, "the other may be read again");
    guard.park(&third, &again(HOUR)).await.unwrap();
}

#[tokio::test]
async fn as_many_records_wait_for_a_key_as_may() {
    let database = Database::create().await;
    let lanes = Arc::new(database.lanes().await);
    let limits = GuardLimits {
        events_of_key: 2,
        ..HOLD
    };
    let guard = LaneGuard::take_over(Arc::clone(&lanes), assignment(0), None, limits)
        .await
        .unwrap();
    guard
        .park(&record(0, 0, Some("a")), &again(Duration::ZERO))
        .await
        .unwrap();
    assert_eq!(
        guard.admit(&record(0, 1, Some("a"))).await.unwrap(),
        Admission::Parked
    );
    let third = record(0, 2, Some("a"));
    let error = guard.admit(&third).await.unwrap_err();
    assert!(
        matches!(error, Error::LaneFull { events: 2, .. }),
        "{error:?}"
    );
    assert_eq!(error.disposition(), Disposition::Transient);
    let mut lane = claim_due(&lanes, GROUP, 1, HOUR).await.unwrap().remove(0);
    let head = lane.next().await.unwrap().unwrap();
    assert_eq!(lane.succeeded(head.id).await.unwrap(), Rest::More);
    assert_eq!(guard.admit(&third).await.unwrap(), Admission::Parked);
    lane.release().await.unwrap();
    assert_eq!(offsets(&drain(&lanes).await), [1, 2]);
}
