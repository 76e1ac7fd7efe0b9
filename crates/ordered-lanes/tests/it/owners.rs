//! Who may put records in, and what a new owner knows.

use std::sync::Arc;
use std::time::Duration;

use cdc_event::{Admission, Fate};
use ordered_lanes::{Assignment, Disposition, Error, LaneGuard, PostgresLanes};
use tokio::time::timeout;

use crate::database::Database;
use crate::records::{
    GROUP, HOLD, HOUR, SOON, TOPIC, again, assignment, drain, guard, left, offsets, record,
};

#[tokio::test]
async fn a_restart_changes_nothing() {
    let database = Database::create().await;
    let lanes = Arc::new(database.lanes().await);
    let before = guard(&lanes, 0, 0).await;
    before
        .park(&record(0, 0, Some("a")), &again(HOUR))
        .await
        .unwrap();
    drop(before);
    let lanes = Arc::new(database.lanes().await);
    let after = guard(&lanes, 0, 1).await;
    assert_eq!(after.open_keys(), 1);
    assert_eq!(
        after.admit(&record(0, 1, Some("a"))).await.unwrap(),
        Admission::Parked
    );
    assert_eq!(
        after.admit(&record(0, 2, Some("b"))).await.unwrap(),
        Admission::Process
    );
}

#[tokio::test]
async fn an_old_owner_writes_nothing_any_more() {
    let database = Database::create().await;
    let lanes = Arc::new(database.lanes().await);
    let old = guard(&lanes, 0, 0).await;
    old.park(&record(0, 0, Some("a")), &again(HOUR))
        .await
        .unwrap();
    let new = guard(&lanes, 0, 0).await;
    assert!(new.epoch() > old.epoch());
    for error in [
        old.park(&record(0, 1, Some("b")), &again(HOUR))
            .await
            .unwrap_err(),
        old.admit(&record(0, 2, Some("a"))).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::Fenced(_)), "{error:?}");
        assert_eq!(error.disposition(), Disposition::Superseded);
    }
    assert_eq!(
        database
            .text("SELECT count(*) FROM cdc.lane_event")
            .await
            .as_deref(),
        Some("1")
    );
    // Partitions have owners each.
    let other = guard(&lanes, 1, 0).await;
    new.park(&record(0, 1, Some("b")), &again(HOUR))
        .await
        .unwrap();
    other
        .park(&record(1, 1, Some("c")), &again(HOUR))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_new_owner_waits_for_what_the_old_one_is_doing_and_sees_it() {
    let database = Database::create().await;
    let lanes = Arc::new(database.lanes().await);
    drop(guard(&lanes, 0, 0).await);
    let mut client = database.client().await;
    let old = client.transaction().await.unwrap();
    let put = "SELECT cdc.lane_put('billing', 'orders', 0, 1, 2, 7, '\\x00112233445566778899aabbccddeeff', 'k', 'v',
                                   '{}', '{}', NULL,
                                   '[{\"part\": \"\", \"status\": \"open\", \"attempts\": 1, \"code\": \"c\",
                                      \"message\": \"m\", \"chain\": []}]', 1, 100)";
    old.batch_execute(put).await.unwrap();

    let taking = LaneGuard::take_over(Arc::clone(&lanes), assignment(0), Some(0), HOLD);
    let mut taking = std::pin::pin!(taking);
    timeout(SOON, taking.as_mut()).await.unwrap_err();
    old.commit().await.unwrap();
    assert_eq!(taking.await.unwrap().open_keys(), 1);
}

#[tokio::test]
async fn what_was_dealt_with_in_a_lane_is_not_handled_when_it_is_read_again() {
    let database = Database::create().await;
    let lanes = Arc::new(database.lanes().await);
    let before = guard(&lanes, 0, 0).await;
    // The first succeeds at once; nothing of it is anywhere but in the uncommitted offset.
    assert_eq!(
        before.admit(&record(0, 0, Some("a"))).await.unwrap(),
        Admission::Process
    );
    before
        .park(&record(0, 1, Some("a")), &again(Duration::ZERO))
        .await
        .unwrap();
    assert_eq!(offsets(&drain(&lanes).await), [1]);
    before.forget(0).await.unwrap();
    drop(before);

    let after = guard(&lanes, 0, 0).await;
    for offset in [0, 1] {
        assert_eq!(
            after.admit(&record(0, offset, Some("a"))).await.unwrap(),
            Admission::DealtWith,
            "{offset}"
        );
    }
    assert_eq!(
        after.admit(&record(0, 2, Some("a"))).await.unwrap(),
        Admission::Process
    );
    after.forget(3).await.unwrap();
    assert_eq!(
        database
            .text("SELECT count(*) FROM cdc.lane")
            .await
            .as_deref(),
        Some("0")
    );
}

#[tokio::test]
async fn a_key_that_moved_to_another_partition_still_waits() {
    let database = Database::create().await;
    let lanes = Arc::new(database.lanes().await);
    let before = guard(&lanes, 0, 0).await;
    before
        .park(&record(0, 500, Some("a")), &again(Duration::ZERO))
        .await
        .unwrap();
    let raised = Assignment {
        partition: 5,
        partition_count: 6,
        ..assignment(0)
    };
    let after = LaneGuard::take_over(Arc::clone(&lanes), raised, None, HOLD)
        .await
        .unwrap();
    let moved = record(5, 0, Some("a"));
    assert_eq!(after.admit(&moved).await.unwrap(), Admission::Parked);
    assert_eq!(after.admit(&moved).await.unwrap(), Admission::DealtWith);
    assert_eq!(
        after.admit(&record(5, 1, Some("b"))).await.unwrap(),
        Admission::Process
    );
    let again = before.park(&record(0, 500, Some("a")), &again(HOUR)).await;
    again.unwrap();
    assert_eq!(offsets(&drain(&lanes).await), [500, 0]);
}

#[tokio::test]
async fn refuses_a_record_of_another_partition() {
    let database = Database::create().await;
    let lanes = Arc::new(database.lanes().await);
    let guard = guard(&lanes, 0, 0).await;
    let error = guard.admit(&record(1, 0, Some("a"))).await.unwrap_err();
    assert!(matches!(error, Error::NotOfPartition { .. }), "{error:?}");
    assert_eq!(error.disposition(), Disposition::Permanent);
}

#[tokio::test]
async fn says_when_the_tables_were_never_made() {
    let database = Database::empty().await;
    let error = PostgresLanes::connect(database.options())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NoTable(_)), "{error:?}");
    assert_eq!(error.disposition(), Disposition::Permanent);
}

#[tokio::test]
async fn goes_on_after_the_connection_was_lost() {
    let database = Database::create().await;
    let lanes = Arc::new(database.lanes().await);
    let guard = guard(&lanes, 0, 0).await;
    database.disconnect_others().await;
    let first = record(0, 0, Some("a"));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while let Err(error) = guard.park(&first, &again(Duration::ZERO)).await {
        assert_eq!(error.disposition(), Disposition::Transient, "{error:?}");
        assert!(tokio::time::Instant::now() < deadline, "{error:?}");
    }
    assert_eq!(offsets(&drain(&lanes).await), [0]);
}

#[tokio::test]
async fn offsets_that_begin_anew_are_not_taken_for_old_ones() {
    let database = Database::create().await;
    let lanes = Arc::new(database.lanes().await);
    let old = guard(&lanes, 0, 0).await;
    old.park(&record(0, 500, Some("a")), &again(Duration::ZERO))
        .await
        .unwrap();
    old.park(&record(0, 501, Some("b")), &left(Fate::Dead))
        .await
        .unwrap();
    assert_eq!(lanes.reset_offsets(GROUP, TOPIC).await.unwrap(), 2);
    let error = old
        .park(&record(0, 502, Some("c")), &again(HOUR))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Fenced(_)), "{error:?}");

    let new = guard(&lanes, 0, 0).await;
    assert_eq!(
        new.admit(&record(0, 3, Some("a"))).await.unwrap(),
        Admission::Parked
    );
    assert_eq!(
        new.admit(&record(0, 500, Some("a"))).await.unwrap(),
        Admission::Parked
    );
    assert_eq!(
        new.admit(&record(0, 501, Some("c"))).await.unwrap(),
        Admission::Process
    );
    assert_eq!(offsets(&drain(&lanes).await), [500, 3, 500]);
}
