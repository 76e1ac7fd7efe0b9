//! What is left of one record, part by part: each is tried when it is due.

use std::sync::Arc;
use std::time::Duration;

use cdc_event::{Admission, Fate, PartId};
use ordered_lanes::{
    Action, ClaimedLane, DeadHead, LaneEventId, LaneGuard, PostgresLanes, Remainder, Rest,
    claim_due,
};

use crate::database::Database;
use crate::records::{GROUP, HOUR, attempt, drain, guard, left, record};

fn part(name: &str, number: u32, fate: Fate) -> Remainder {
    let mut left = left(fate);
    left[0].part = Some(PartId::new(name).unwrap());
    left[0].attempt = attempt(number);
    left.remove(0)
}

/// A part that is tried again after so long.
fn later(name: &str, after: Duration) -> Remainder {
    part(name, 1, Fate::Again(after))
}

/// Of a record, the first of its key, these parts wait.
async fn parked(parts: &[Remainder]) -> (Database, Arc<PostgresLanes>, LaneGuard<PostgresLanes>) {
    let database = Database::create().await;
    let lanes = Arc::new(database.lanes().await);
    let guard = guard(&lanes, 0, 0).await;
    guard.park(&record(0, 0, Some("a")), parts).await.unwrap();
    (database, lanes, guard)
}

async fn claimed(lanes: &Arc<PostgresLanes>) -> Option<ClaimedLane<PostgresLanes>> {
    claim_due(lanes, GROUP, 1, HOUR).await.unwrap().pop()
}

/// Seconds until a worker may have the only lane.
async fn due_in(database: &Database) -> f64 {
    let due = "SELECT extract(epoch FROM due_at - now()) FROM cdc.lane";
    database.text(due).await.unwrap().parse().unwrap()
}

/// The next part, by its name.
async fn next(lane: &mut ClaimedLane<PostgresLanes>) -> (LaneEventId, String) {
    let event = lane.next().await.unwrap().unwrap();
    (event.id, event.record.part.unwrap().to_string())
}

#[tokio::test]
async fn parts_of_a_record_come_before_what_follows_it() {
    let (_database, lanes, guard) =
        parked(&[later("x", Duration::ZERO), later("y", Duration::ZERO)]).await;
    assert_eq!(
        guard.admit(&record(0, 1, Some("a"))).await.unwrap(),
        Admission::Parked
    );
    let handled = drain(&lanes).await;
    let parts: Vec<_> = handled
        .iter()
        .map(|event| event.record.part.as_ref().map(PartId::as_str))
        .collect();
    assert_eq!(parts, [Some("x"), Some("y"), None]);
    assert_eq!(handled[0].record.value, record(0, 0, Some("a")).value);
}

#[tokio::test]
async fn of_the_parts_of_a_record_the_one_tried_least_comes_first() {
    let (_database, lanes, _guard) =
        parked(&[later("x", Duration::ZERO), later("y", Duration::ZERO)]).await;
    let mut names = Vec::new();
    for _ in 0..4 {
        let mut lane = claimed(&lanes).await.unwrap();
        let event = lane.next().await.unwrap().unwrap();
        let name = event.record.part.as_ref().unwrap().to_string();
        let left = [part(&name, event.attempts + 1, Fate::Again(Duration::ZERO))];
        lane.failed(event.id, &left, DeadHead::Hold).await.unwrap();
        names.push(name);
    }
    assert_eq!(names, ["x", "y", "x", "y"]);
}

#[tokio::test]
async fn a_part_is_not_tried_early_because_another_is_dealt_with() {
    let (database, lanes, guard) = parked(&[later("x", HOUR), later("y", Duration::ZERO)]).await;
    guard.admit(&record(0, 1, Some("a"))).await.unwrap();
    let mut lane = claimed(&lanes).await.unwrap();
    let (id, name) = next(&mut lane).await;
    assert_eq!(name, "y");
    assert_eq!(lane.succeeded(id).await.unwrap(), Rest::Released);
    assert!(claimed(&lanes).await.is_none());
    let due = due_in(&database).await;
    assert!((3500.0..=3600.0).contains(&due), "{due}");
}

#[tokio::test]
async fn a_part_is_not_tried_late_because_another_waits() {
    let (database, lanes, _guard) = parked(&[
        later("x", Duration::ZERO),
        later("y", Duration::ZERO),
        later("z", HOUR),
    ])
    .await;
    // One that is put off without an attempt would be the first again, having been tried least.
    for name in ["x", "y"] {
        let mut lane = claimed(&lanes).await.unwrap();
        let (id, found) = next(&mut lane).await;
        assert_eq!(found, name);
        let left = [later(name, 2 * HOUR)];
        let rest = lane.failed(id, &left, DeadHead::Hold).await.unwrap();
        assert_eq!(rest, Rest::Released);
    }
    assert!(claimed(&lanes).await.is_none());
    let due = due_in(&database).await;
    assert!((3500.0..=3600.0).contains(&due), "of z: {due}");
}

#[tokio::test]
async fn a_part_that_is_given_up_leaves_the_others_their_time() {
    let (database, lanes, _guard) = parked(&[later("x", Duration::ZERO), later("y", HOUR)]).await;
    let mut lane = claimed(&lanes).await.unwrap();
    let (id, _) = next(&mut lane).await;
    let dead = [part("x", 2, Fate::Dead)];
    let rest = lane.failed(id, &dead, DeadHead::Hold).await.unwrap();
    assert_eq!(rest, Rest::Released);
    let due = due_in(&database).await;
    assert!((3500.0..=3600.0).contains(&due), "{due}");

    // Its operator gives it up for good: y is looked at, and waits on.
    let operated = lanes.operate(id, Action::Discard, "test", None).await;
    operated.unwrap();
    let mut lane = claimed(&lanes).await.unwrap();
    assert!(lane.next().await.unwrap().is_none());
    let due = due_in(&database).await;
    assert!((3500.0..=3600.0).contains(&due), "{due}");
}

#[tokio::test]
async fn a_part_that_an_operator_retries_is_tried_at_once() {
    let (database, lanes, _guard) = parked(&[later("x", HOUR), later("y", HOUR)]).await;
    let y = "SELECT id FROM cdc.lane_event WHERE part = 'y'";
    let y = database.text(y).await.unwrap().parse().unwrap();
    let id = LaneEventId::new(y);
    let operated = lanes.operate(id, Action::Retry, "test", None).await;
    operated.unwrap();
    let mut lane = claimed(&lanes).await.unwrap();
    assert_eq!(next(&mut lane).await, (id, "y".to_owned()));
    assert_eq!(lane.succeeded(id).await.unwrap(), Rest::Released);
    assert!(claimed(&lanes).await.is_none());
}
