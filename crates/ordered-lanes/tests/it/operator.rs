//! What operators see and do.

use std::sync::Arc;
use std::time::Duration;

use cdc_event::{Admission, Fate, Record};
use ordered_lanes::{
    Action, DeadEvent, DeadHead, EventStatus, GuardLimits, LaneEventId, LaneGuard, LaneStore,
    Operated, PostgresLanes, Rest, claim_due,
};

use crate::database::Database;
use crate::records::{GROUP, HOLD, HOUR, again, assignment, attempt, drain, left, offsets, record};

/// Lanes of a key with three records, the first of which is dead.
async fn with_dead_head(database: &Database, policy: DeadHead) -> Arc<PostgresLanes> {
    let lanes = Arc::new(database.lanes().await);
    let limits = GuardLimits {
        dead_head: policy,
        ..HOLD
    };
    let guard = LaneGuard::take_over(Arc::clone(&lanes), assignment(0), None, limits)
        .await
        .unwrap();
    guard
        .park(&record(0, 0, Some("a")), &left(Fate::Dead))
        .await
        .unwrap();
    for offset in [1, 2] {
        let expected = if policy == DeadHead::Hold {
            Admission::Parked
        } else {
            Admission::Process
        };
        assert_eq!(
            guard.admit(&record(0, offset, Some("a"))).await.unwrap(),
            expected
        );
    }
    lanes
}

async fn the_dead(lanes: &PostgresLanes) -> DeadEvent {
    let mut dead = lanes.dead(GROUP, 10).await.unwrap();
    assert_eq!(dead.len(), 1);
    dead.remove(0)
}

/// Takes the only lane that is due and handles one event.
async fn handle_one(lanes: &Arc<PostgresLanes>) -> Option<(i64, u32)> {
    let mut claimed = claim_due(lanes, GROUP, 10, HOUR).await.unwrap();
    let lane = claimed.first_mut()?;
    let event = lane.next().await.unwrap()?;
    if lane.succeeded(event.id).await.unwrap() == Rest::More {
        claimed.remove(0).release().await.unwrap();
    }
    Some((event.record.origin.offset, event.attempts))
}

#[tokio::test]
async fn a_held_head_is_shown_with_why_and_what_waits() {
    let database = Database::create().await;
    let lanes = with_dead_head(&database, DeadHead::Hold).await;
    assert_eq!(handle_one(&lanes).await, None, "it is nobody's turn");
    let dead = the_dead(&lanes).await;
    assert_eq!(
        (dead.status, dead.attempts, dead.behind),
        (EventStatus::Held, 1, 2)
    );
    assert_eq!(dead.key.as_deref(), Some(&b"a"[..]));
    let error = dead.error.unwrap();
    assert_eq!(
        (error.code(), error.message(), error.chain()),
        ("no-luck", "it did not work", &["a cause".to_owned()][..])
    );
    let stats = lanes.stats(GROUP).await.unwrap();
    assert_eq!(
        (
            stats.open_lanes,
            stats.held_lanes,
            stats.waiting_events,
            stats.dead_events
        ),
        (1, 1, 3, 0)
    );
    assert_eq!(
        lanes.stats("another").await.unwrap(),
        ordered_lanes::LaneStats::default()
    );
}

#[tokio::test]
async fn a_held_head_is_tried_again_and_then_the_others() {
    let database = Database::create().await;
    let lanes = with_dead_head(&database, DeadHead::Hold).await;
    let dead = the_dead(&lanes).await;
    assert_eq!(
        lanes
            .operate(dead.id, Action::Retry, "me", Some("fixed"))
            .await
            .unwrap(),
        Operated::Done
    );
    assert_eq!(handle_one(&lanes).await, Some((0, 1)));
    assert_eq!(handle_one(&lanes).await, Some((1, 0)));
    assert_eq!(handle_one(&lanes).await, Some((2, 0)));
    assert_eq!(handle_one(&lanes).await, None);
    let log =
        "SELECT action || ' ' || actor || ' ' || note || ' ' || origin_offset FROM cdc.lane_action";
    assert_eq!(
        database.text(log).await.as_deref(),
        Some("retry me fixed 0")
    );
}

#[tokio::test]
async fn the_others_go_on_when_a_held_head_was_dealt_with_or_discarded() {
    for action in [Action::Resolve, Action::Discard] {
        let database = Database::create().await;
        let lanes = with_dead_head(&database, DeadHead::Hold).await;
        let dead = the_dead(&lanes).await;
        assert_eq!(
            lanes.operate(dead.id, action, "me", None).await.unwrap(),
            Operated::Done
        );
        assert_eq!(handle_one(&lanes).await, Some((1, 0)));
        assert_eq!(handle_one(&lanes).await, Some((2, 0)));
        assert_eq!(
            lanes.operate(dead.id, action, "me", None).await.unwrap(),
            Operated::Gone
        );
        assert_eq!(
            database
                .text("SELECT count(*) FROM cdc.lane_action")
                .await
                .as_deref(),
            Some("1")
        );
    }
}

#[tokio::test]
async fn the_others_go_on_when_the_failed_event_is_discarded() {
    let database = Database::create().await;
    let lanes = with_dead_head(&database, DeadHead::Hold).await;
    database
        .execute(
            "INSERT INTO cdc.failed_event (source, consumer_group, origin_topic, origin_partition, origin_offset, topic,
                                           error_code, error_message, fingerprint)
             SELECT 'consumer', 'billing', 'orders', 0, number, 'orders', 'c', 'm', 'f' FROM generate_series(0, 1) AS number",
        )
        .await;
    let discard = |offset: i64| {
        format!(
            "UPDATE cdc.failed_event SET status = 'discarded', status_changed_by = 'me', note = 'no'
              WHERE origin_offset = {offset}"
        )
    };
    // That one only waits: its failure must have been another's.
    database.execute(&discard(1)).await;
    assert_eq!(handle_one(&lanes).await, None);
    database.execute(&discard(0)).await;
    assert_eq!(handle_one(&lanes).await, Some((1, 0)));
    assert_eq!(handle_one(&lanes).await, Some((2, 0)));
    assert_eq!(handle_one(&lanes).await, None);
    let log = "SELECT string_agg(action || ' ' || actor || ' ' || note || ' ' || origin_offset, ',') FROM cdc.lane_action";
    assert_eq!(database.text(log).await.as_deref(), Some("discard me no 0"));
}

#[tokio::test]
async fn a_record_that_comes_back_is_tried_in_its_place_as_it_is_now() {
    let database = Database::create().await;
    let lanes = with_dead_head(&database, DeadHead::Hold).await;
    let corrected = Record {
        value: Some(b"corrected".to_vec()),
        ..record(0, 0, Some("a"))
    };
    assert_eq!(
        lanes
            .replay("another", &corrected, attempt(2), None)
            .await
            .unwrap(),
        Operated::Gone
    );
    let waiting = record(0, 1, Some("a"));
    assert_eq!(
        lanes
            .replay(GROUP, &waiting, attempt(2), None)
            .await
            .unwrap(),
        Operated::Gone
    );
    assert_eq!(
        lanes
            .replay(GROUP, &corrected, attempt(2), None)
            .await
            .unwrap(),
        Operated::Done
    );
    let mut lane = claim_due(&lanes, GROUP, 1, HOUR).await.unwrap().remove(0);
    assert_eq!(
        lanes
            .replay(GROUP, &corrected, attempt(2), None)
            .await
            .unwrap(),
        Operated::Busy
    );
    let head = lane.next().await.unwrap().unwrap();
    assert_eq!((&head.record, head.attempts), (&corrected, 1));
    lane.succeeded(head.id).await.unwrap();
    assert_eq!(lane.next().await.unwrap().unwrap().record, waiting);
}

/// Whoever was killed before it stored the offset of the replay has it again.
#[tokio::test]
async fn a_record_that_came_back_and_was_dealt_with_does_not_come_back_again() {
    for policy in [DeadHead::Hold, DeadHead::Skip] {
        let database = Database::create().await;
        let lanes = with_dead_head(&database, policy).await;
        drain(&lanes).await;
        let back = record(0, 0, Some("a"));
        let replay = async |record: &Record, number, failed_event| {
            let replayed = lanes
                .replay(GROUP, record, attempt(number), failed_event)
                .await;
            replayed.unwrap()
        };
        assert_eq!(replay(&back, 2, Some(7)).await, Operated::Done);
        assert_eq!(offsets(&drain(&lanes).await)[0], 0);
        assert_eq!(replay(&back, 2, Some(7)).await, Operated::Done);
        assert!(drain(&lanes).await.is_empty());
        // Another replay, and another record in the same place: of a topic that was made anew.
        assert_eq!(replay(&back, 3, Some(7)).await, Operated::Gone);
        // What an endpoint missed comes from no store, and counts its attempts anew.
        assert_eq!(replay(&back, 2, None).await, Operated::Gone);
        let other = Record {
            timestamp_ms: Some(1),
            ..back
        };
        assert_eq!(replay(&other, 2, Some(7)).await, Operated::Gone);
    }
}

#[tokio::test]
async fn a_lane_that_a_worker_has_is_left_alone() {
    let database = Database::create().await;
    let lanes = Arc::new(database.lanes().await);
    let guard = LaneGuard::take_over(Arc::clone(&lanes), assignment(0), None, HOLD)
        .await
        .unwrap();
    guard
        .park(&record(0, 0, Some("a")), &again(Duration::ZERO))
        .await
        .unwrap();
    let mut claimed = claim_due(&lanes, GROUP, 1, HOUR).await.unwrap();
    let event = claimed[0].next().await.unwrap().unwrap();
    assert_eq!(
        lanes
            .operate(event.id, Action::Discard, "me", None)
            .await
            .unwrap(),
        Operated::Busy
    );
    claimed.remove(0).release().await.unwrap();
    assert_eq!(
        lanes
            .operate(event.id, Action::Discard, "me", None)
            .await
            .unwrap(),
        Operated::Done
    );
    assert_eq!(handle_one(&lanes).await, None);
    assert_eq!(
        lanes
            .operate(LaneEventId::new(-1), Action::Retry, "me", None)
            .await
            .unwrap(),
        Operated::Gone
    );
}

#[tokio::test]
async fn a_gap_is_closed_beside_the_key() {
    for policy in [DeadHead::Skip, DeadHead::DeadLetterLane] {
        let database = Database::create().await;
        let lanes = with_dead_head(&database, policy).await;
        let dead = the_dead(&lanes).await;
        assert!(matches!(
            dead.status,
            EventStatus::Skipped | EventStatus::DeadLettered
        ));
        assert_eq!(lanes.stats(GROUP).await.unwrap().dead_events, 1);
        assert_eq!(
            lanes
                .operate(dead.id, Action::Retry, "me", None)
                .await
                .unwrap(),
            Operated::Done
        );
        // The key itself stays open to what comes.
        let guard = LaneGuard::take_over(Arc::clone(&lanes), assignment(0), Some(1), HOLD)
            .await
            .unwrap();
        assert_eq!(
            guard.admit(&record(0, 3, Some("a"))).await.unwrap(),
            Admission::Process
        );
        assert_eq!(handle_one(&lanes).await, Some((0, 1)));
        guard.forget(4).await.unwrap();
        assert_eq!(
            database
                .text("SELECT count(*) FROM cdc.lane")
                .await
                .as_deref(),
            Some("0")
        );
    }
}

#[tokio::test]
async fn two_operators_at_once_do_it_once() {
    let database = Database::create().await;
    let lanes = with_dead_head(&database, DeadHead::Skip).await;
    let other = database.lanes().await;
    let id = the_dead(&lanes).await.id;
    let (first, second) = tokio::join!(
        lanes.operate(id, Action::Discard, "me", None),
        other.operate(id, Action::Discard, "you", None),
    );
    let mut answers = [first.unwrap(), second.unwrap()];
    answers.sort_by_key(|answer| *answer == Operated::Gone);
    assert_eq!(answers, [Operated::Done, Operated::Gone]);
    assert_eq!(
        database
            .text("SELECT count(*) FROM cdc.lane_action")
            .await
            .as_deref(),
        Some("1")
    );
}
