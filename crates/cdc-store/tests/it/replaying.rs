//! Failed events are given out to one replay at a time, in order, and none is stuck.

use std::time::Duration;

use cdc_store::{ErrorReport, FailedEventId, FailedEvents, Filter, Status};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::database::Database;
use crate::events::of_relay;

const LEASE: Duration = Duration::from_secs(60);
const BYTES: u64 = 1 << 20;

async fn stored(store: &mut FailedEvents, count: u64) -> Vec<FailedEventId> {
    // Stored in the reverse of their order in the log.
    let events: Vec<_> = (0..count)
        .rev()
        .map(|lsn| of_relay(lsn + 1, 0, "e"))
        .collect();
    let mut ids = Vec::new();
    for event in &events {
        ids.extend(store.record(std::slice::from_ref(event)).await.unwrap());
    }
    ids.reverse();
    ids
}

async fn selected(store: &mut FailedEvents) -> Vec<FailedEventId> {
    let selected = store.select(&Filter::default(), 1000).await.unwrap();
    selected.iter().map(|selected| selected.id).collect()
}

fn ids(claim: &cdc_store::Claim) -> Vec<FailedEventId> {
    claim.events.iter().map(|event| event.id).collect()
}

fn sorted(ids: &[FailedEventId]) -> Vec<FailedEventId> {
    let mut ids = ids.to_vec();
    ids.sort();
    ids
}

async fn status(store: &mut FailedEvents, id: FailedEventId) -> Status {
    store.get(id).await.unwrap().unwrap().event.status
}

#[tokio::test]
async fn gives_events_out_in_the_order_of_the_log() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let in_order = stored(&mut store, 20).await;
    let selected = selected(&mut store).await;
    assert_eq!(selected, in_order);
    let claim = store.claim(&selected, BYTES, LEASE, "me").await.unwrap();
    assert_eq!(ids(&claim), in_order);
    assert_eq!(claim.events[0].contents, of_relay(1, 0, "e").contents);
}

#[tokio::test]
async fn two_operators_never_hold_the_same_event() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let all = stored(&mut store, 100).await;
    let mut claims = JoinSet::new();
    for _ in 0..8 {
        let (mut store, all) = (database.store().await, all.clone());
        claims.spawn(async move { ids(&store.claim(&all, 7, LEASE, "me").await.unwrap()) });
    }
    let mut held = claims.join_all().await.concat();
    let count = held.len();
    held.sort();
    held.dedup();
    assert_eq!(held.len(), count, "an event was given out twice");
    assert!(count >= 7, "{count}");
}

#[tokio::test]
async fn holds_no_more_bytes_than_asked_but_at_least_one_event() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let all = stored(&mut store, 5).await;
    // Each payload has one byte.
    let two = store.claim(&all, 2, LEASE, "me").await.unwrap();
    assert_eq!(ids(&two), all[..2]);
    let one = store.claim(&all, 0, LEASE, "me").await.unwrap();
    assert_eq!(ids(&one), all[2..3]);
}

#[tokio::test]
async fn a_replay_that_was_killed_is_taken_up_when_its_lease_has_ended() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let all = stored(&mut store, 2).await;
    let dead = store
        .claim(&all, BYTES, Duration::from_millis(300), "dead")
        .await
        .unwrap();
    assert_eq!(selected(&mut store).await, []);
    let deadline = Instant::now() + Duration::from_secs(20);
    while selected(&mut store).await.is_empty() {
        assert!(Instant::now() < deadline, "the lease does not end");
        sleep(Duration::from_millis(50)).await;
    }
    let alive = store.claim(&all, BYTES, LEASE, "alive").await.unwrap();
    assert_eq!(ids(&alive), all);
    // The dead one comes back to life: it must not settle what is no longer its own.
    assert_eq!(store.replayed(&dead, &all).await.unwrap(), []);
    assert_eq!(store.release(&dead, &all).await.unwrap(), []);
    assert_eq!(status(&mut store, all[0]).await, Status::Replaying);
    let replayed = store.replayed(&alive, &all).await.unwrap();
    assert_eq!(sorted(&replayed), sorted(&all));
}

#[tokio::test]
async fn settles_each_event_by_what_became_of_it_and_keeps_who_did_it() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let all = stored(&mut store, 3).await;
    let claim = store.claim(&all, BYTES, LEASE, "ann").await.unwrap();
    store.replayed(&claim, &all[..1]).await.unwrap();
    store.release(&claim, &all[1..2]).await.unwrap();
    let why = ErrorReport::new("CDC0044", "not allowed", ["cause"]);
    store
        .failed_again(&claim, &[(&claim.events[2], why.clone())])
        .await
        .unwrap();

    let replayed = store.get(all[0]).await.unwrap().unwrap();
    assert_eq!(replayed.event.status, Status::Replayed);
    let actions: Vec<_> = replayed
        .actions
        .iter()
        .map(|action| (action.status, action.actor.as_str()))
        .collect();
    assert_eq!(
        actions,
        [(Status::Replaying, "ann"), (Status::Replayed, "ann")]
    );
    let released = store.get(all[1]).await.unwrap().unwrap().event;
    assert_eq!((released.status, released.attempts), (Status::Open, 1));
    let failed = store.get(all[2]).await.unwrap().unwrap().event;
    assert_eq!((failed.status, failed.attempts), (Status::Open, 2));
    assert_eq!(failed.error, why);
    assert_ne!(failed.fingerprint, released.fingerprint);
    assert_eq!(
        store.replayed(&claim, &all).await.unwrap(),
        [],
        "nothing is held any more"
    );
}

#[tokio::test]
async fn only_open_events_are_discarded_or_replayed() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let all = stored(&mut store, 3).await;
    let claim = store.claim(&all[..1], BYTES, LEASE, "me").await.unwrap();
    let discarded = store
        .discard(&all, "me", Some("an old test"))
        .await
        .unwrap();
    assert_eq!(sorted(&discarded), sorted(&all[1..]));
    assert_eq!(status(&mut store, all[0]).await, Status::Replaying);
    store.replayed(&claim, &all[..1]).await.unwrap();
    assert_eq!(store.discard(&all, "me", None).await.unwrap(), []);
    assert_eq!(
        store.claim(&all, BYTES, LEASE, "me").await.unwrap().events,
        []
    );
    let event = store.get(all[1]).await.unwrap().unwrap().event;
    assert_eq!(event.note.as_deref(), Some("an old test"));
    assert_eq!(event.status_changed_by.as_deref(), Some("me"));
}

#[tokio::test]
async fn an_event_without_record_is_never_given_out() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let mut event = of_relay(1, 0, "e");
    event.target = None;
    let ids = store.record(&[event]).await.unwrap();
    let selected = store.select(&Filter::default(), 10).await.unwrap();
    assert!(!selected[0].replayable);
    assert_eq!(
        store.claim(&ids, BYTES, LEASE, "me").await.unwrap().events,
        []
    );
    assert_eq!(store.discard(&ids, "me", None).await.unwrap(), ids);
}
