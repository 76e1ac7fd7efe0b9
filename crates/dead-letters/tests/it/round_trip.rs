//! From the dead letter to the store, back to the group, and again: one event all the way.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use cdc_event::{ErrorCode, Headers, PartId, Record};
use cdc_store::{ClaimedEvent, FailedEventId, Status};
use dead_letters::Resent;
use failure_headers::{Failed, FailureReport, RetryState, dead_letter, read_retry};

use crate::database::Database;
use crate::letters::{Running, TIMESTAMP, letter_headers, own, record};

/// Takes hold of an event, as a replay does, and says that it was sent.
async fn replayed(database: &Database, id: FailedEventId) -> ClaimedEvent {
    let mut store = database.store().await;
    let lease = Duration::from_secs(60);
    let claim = store.claim(&[id], 1, lease, "ann").await.unwrap();
    assert_eq!(store.replayed(&claim, &[id]).await.unwrap(), [id]);
    claim.events[0].clone()
}

/// What the group's retry entry gets to read.
fn read(resent: &Resent) -> (Headers, RetryState) {
    let at = record(9, Headers::new()).origin;
    let (own, state) = read_retry(&resent.headers, &at, SystemTime::now());
    (own, state.unwrap())
}

/// The dead letter at `at` of a replay that failed once more.
fn failed_again(at: i64, own: &Headers, state: &RetryState, code: &'static str) -> Record {
    let report = FailureReport {
        code: ErrorCode::from_static(code),
        message: "not again".into(),
        chain: Vec::new(),
        backtrace: None,
    };
    let failed = Failed {
        group: state.group.as_deref().unwrap(),
        origin: &state.origin,
        original_timestamp_ms: state.original_timestamp_ms,
        part: state.part.as_ref(),
        attempts: NonZeroU32::new(state.attempts.get() + 1).unwrap(),
        first_failed_at: state.first_failed_at,
        report: &report,
        failed_event: state.failed_event,
    };
    record(at, dead_letter(own, &failed))
}

#[tokio::test]
async fn an_event_that_fails_at_every_replay_stays_one_event_and_counts() {
    let database = Database::create().await;
    let running = Running::start(&database);
    let headers = letter_headers("orders", 17, 3, Some("ep_1"));
    running.store(&record(0, headers)).await.unwrap();
    let first = database.events().await.remove(0);
    let id = first.event.id;
    for round in 1..6_u32 {
        let event = replayed(&database, id).await;
        let (own_again, state) = read(&Resent::of(&event));
        assert_eq!(own_again, own());
        assert_eq!(state.failed_event, Some(id.get()));
        assert_eq!(state.attempts.get(), 2 + round);
        let age = SystemTime::now().duration_since(state.first_failed_at);
        assert!(age.unwrap() < Duration::from_secs(60), "it counts anew");
        let again = failed_again(i64::from(round), &own_again, &state, "refused");
        running.store(&again).await.unwrap();
        let events = database.events().await;
        assert_eq!(events.len(), 1);
        let now = &events[0].event;
        assert_eq!(
            (now.id, now.origin.clone()),
            (id, first.event.origin.clone())
        );
        assert_eq!((now.status, now.attempts), (Status::Open, 3 + round));
        assert_eq!(now.error.code(), "refused");
        assert_eq!(now.first_failed_at, first.event.first_failed_at);
        assert_eq!(events[0].contents, first.contents);
    }
    let actions = database.events().await.remove(0).actions;
    let reopened = actions
        .iter()
        .filter(|action| action.status == Status::Open);
    assert_eq!(reopened.count(), 5, "each failure is in the history");
}

#[tokio::test]
async fn a_replay_has_the_time_of_sending_and_tells_the_one_of_its_origin() {
    let database = Database::create().await;
    let running = Running::start(&database);
    running
        .store(&record(0, letter_headers("orders", 17, 3, None)))
        .await
        .unwrap();
    let id = database.events().await[0].event.id;
    let resent = Resent::of(&replayed(&database, id).await);
    // With the time of its origin, a retry topic would have removed it by now.
    assert_eq!(resent.timestamp_ms, None);
    assert_eq!(read(&resent).1.original_timestamp_ms, Some(TIMESTAMP));
}

#[tokio::test]
async fn what_the_relay_parked_goes_as_it_would_have_gone() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let parked = cdc_store::NewFailedEvent {
        origin: cdc_store::Origin::Relay {
            system_id: "7123456789012345678".parse().unwrap(),
            slot: "cdc_relay".parse().unwrap(),
            position: cdc_event::Position {
                commit_lsn: "0/1".parse().unwrap(),
                index: cdc_event::ChangeIndex::FIRST,
            },
        },
        event_id: None,
        target: Some(cdc_store::Target {
            topic: "orders".into(),
            partition: None,
        }),
        contents: cdc_store::Contents {
            headers: own(),
            timestamp_ms: Some(TIMESTAMP),
            ..cdc_store::Contents::default()
        },
        error: cdc_store::ErrorReport::new("CDC0043", "too large", []),
        attempts: NonZeroU32::MIN,
        first_failed_at: None,
        dead_letter: None,
    };
    let id = store.record(&[parked]).await.unwrap()[0];
    let resent = Resent::of(&replayed(&database, id).await);
    let expected = Resent {
        headers: own(),
        timestamp_ms: Some(TIMESTAMP),
    };
    assert_eq!(resent, expected);
}

#[test]
fn what_a_part_missed_comes_to_it_alone_with_all_delays_before_it() {
    let missed = Record {
        part: Some(PartId::new("ep_1").unwrap()),
        ..record(5, own())
    };
    let resent = Resent::missed(&missed, "mail");
    assert_eq!(resent.timestamp_ms, None, "the time of sending");
    let (own_again, state) = read(&resent);
    assert_eq!(own_again, own());
    assert_eq!((state.origin, state.part), (missed.origin, missed.part));
    assert_eq!(state.group.as_deref(), Some("mail"));
    assert_eq!(state.original_timestamp_ms, missed.timestamp_ms);
    assert_eq!((state.attempts.get(), state.waited), (2, Some(0)));
    assert_eq!((state.failed_event, state.not_before), (None, None));
    let age = SystemTime::now().duration_since(state.first_failed_at);
    assert!(age.unwrap() < Duration::from_secs(60), "it counts anew");
}
