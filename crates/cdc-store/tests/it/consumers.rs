//! Dead letters of consumers.

use std::time::{Duration, SystemTime};

use std::num::NonZeroU32;

use cdc_event::PartId;
use cdc_store::{
    ErrorReport, FailedEventId, FailedEvents, Filter, KafkaPosition, NewFailedEvent, Origin, Status,
};

use crate::database::Database;
use crate::events::of_consumer;

const LEASE: Duration = Duration::from_secs(60);

fn dead_letter(offset: i64, code: &str) -> NewFailedEvent {
    let mut event = of_consumer("billing", 7);
    event.dead_letter = Some(KafkaPosition {
        topic: "orders.billing.DLT".into(),
        partition: 2,
        offset,
    });
    event.error = ErrorReport::new(code, code, []);
    event
}

async fn replay(store: &mut FailedEvents, id: FailedEventId) {
    let claim = store.claim(&[id], 1, LEASE, "me").await.unwrap();
    assert_eq!(store.replayed(&claim, &[id]).await.unwrap(), [id]);
}

#[tokio::test]
async fn an_event_that_fails_again_after_its_replay_is_open_again() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let id = store.record(&[dead_letter(0, "timeout")]).await.unwrap()[0];
    replay(&mut store, id).await;
    let again = store.record(&[dead_letter(1, "refused")]).await.unwrap();
    assert_eq!(again, [id]);
    let event = store.get(id).await.unwrap().unwrap().event;
    assert_eq!(
        (event.status, event.attempts, event.error.code()),
        (Status::Open, 2, "refused")
    );
    let actions = store.get(id).await.unwrap().unwrap().actions;
    let last = actions.last().unwrap();
    assert_eq!(
        (last.status, last.actor.as_str(), last.note.as_deref()),
        (Status::Open, "group billing", Some("failed again: refused"))
    );
}

#[tokio::test]
async fn attempts_are_those_that_the_consumer_counted() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let with = |offset, attempts| NewFailedEvent {
        attempts: NonZeroU32::new(attempts).unwrap(),
        ..dead_letter(offset, "timeout")
    };
    let mut seen = Vec::new();
    // Counted on; read twice; counted on by a record that lost its headers on the way.
    for event in [with(0, 5), with(0, 5), with(1, 8), with(2, 1)] {
        let id = store.record(&[event]).await.unwrap()[0];
        seen.push(store.get(id).await.unwrap().unwrap().event.attempts);
    }
    assert_eq!(seen, [5, 5, 8, 9]);
}

#[tokio::test]
async fn a_failure_that_comes_before_the_replay_is_recorded_is_not_lost() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let id = store.record(&[dead_letter(0, "timeout")]).await.unwrap()[0];
    let claim = store.claim(&[id], 1, LEASE, "me").await.unwrap();
    // Sent, failed at, dead-lettered and stored, and only then acknowledged here.
    store.record(&[dead_letter(1, "refused")]).await.unwrap();
    assert_eq!(store.replayed(&claim, &[id]).await.unwrap(), []);
    let event = store.get(id).await.unwrap().unwrap().event;
    assert_eq!((event.status, event.lease_until), (Status::Open, None));
}

#[tokio::test]
async fn each_part_of_a_record_is_an_event_of_its_own() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let part = |name: &str| {
        let mut event = dead_letter(0, "timeout");
        let Origin::Consumer { part, .. } = &mut event.origin else {
            panic!("not of a consumer");
        };
        *part = Some(PartId::new(name).unwrap());
        event
    };
    let events = [dead_letter(0, "timeout"), part("a"), part("b"), part("a")];
    let ids = store.record(&events).await.unwrap();
    assert_eq!(ids[1], ids[3]);
    let different = [ids[0], ids[1], ids[2]];
    assert!(
        different[0] != different[1]
            && different[1] != different[2]
            && different[0] != different[2]
    );
    let stored = store.get(ids[1]).await.unwrap().unwrap().event;
    assert_eq!(stored.origin, part("a").origin);
    assert!(
        stored.origin.to_string().ends_with(", part a"),
        "{}",
        stored.origin
    );
    let known = store
        .origins(&[ids[2], FailedEventId::new(999)])
        .await
        .unwrap();
    assert_eq!(known, [(ids[2], part("b").origin)]);
}

#[tokio::test]
async fn a_backtrace_is_shown_with_its_event_and_not_in_lists() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let mut event = dead_letter(0, "timeout");
    event.error = event.error.with_backtrace(Some("0: main"));
    let id = store.record(&[event]).await.unwrap()[0];
    let shown = store.get(id).await.unwrap().unwrap().event;
    assert_eq!(shown.error.backtrace(), Some("0: main"));
    let listed = store.list(&Filter::default(), 1).await.unwrap();
    assert_eq!(listed[0].error.backtrace(), None);
}

#[tokio::test]
async fn a_filter_can_mean_one_group() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let events = [of_consumer("billing", 1), of_consumer("mail", 1)];
    let ids = store.record(&events).await.unwrap();
    let filter = Filter {
        group: Some("mail".into()),
        ..Filter::default()
    };
    let selected = store.select(&filter, 10).await.unwrap();
    let selected: Vec<_> = selected.iter().map(|selected| selected.id).collect();
    assert_eq!(selected, ids[1..]);
}

#[tokio::test]
async fn a_filter_can_mean_one_part() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let events = [None, Some("a"), Some("b")].map(|name| {
        let mut event = dead_letter(0, "timeout");
        let Origin::Consumer { part, .. } = &mut event.origin else {
            panic!("not of a consumer");
        };
        *part = name.map(|name| PartId::new(name).unwrap());
        event
    });
    let ids = store.record(&events).await.unwrap();
    let filter = Filter {
        part: Some("a".into()),
        ..Filter::default()
    };
    let selected = store.select(&filter, 10).await.unwrap();
    let selected: Vec<_> = selected.iter().map(|selected| selected.id).collect();
    assert_eq!(selected, [ids[1]]);
}

#[tokio::test]
async fn a_claim_tells_what_a_consumer_needs_to_know_it_again() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let first_failed_at = SystemTime::now() - Duration::from_secs(3600);
    let event = NewFailedEvent {
        attempts: NonZeroU32::new(4).unwrap(),
        first_failed_at: Some(first_failed_at),
        ..dead_letter(0, "timeout")
    };
    let id = store.record(std::slice::from_ref(&event)).await.unwrap()[0];
    let claim = store.claim(&[id], 1, LEASE, "me").await.unwrap();
    let claimed = &claim.events[0];
    assert_eq!(
        (claimed.attempts.get(), &claimed.error, &claimed.origin),
        (4, &event.error, &event.origin)
    );
    let difference = claimed.first_failed_at.duration_since(first_failed_at);
    assert!(difference.unwrap_or_else(|error| error.duration()) < Duration::from_millis(1));
}

#[tokio::test]
async fn a_dead_letter_that_is_read_twice_does_not_open_what_was_replayed_meanwhile() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let id = store.record(&[dead_letter(0, "timeout")]).await.unwrap()[0];
    replay(&mut store, id).await;
    store.record(&[dead_letter(0, "timeout")]).await.unwrap();
    assert_eq!(
        store.get(id).await.unwrap().unwrap().event.status,
        Status::Replayed
    );
}

#[tokio::test]
async fn a_dead_letter_topic_that_is_read_again_from_its_beginning_opens_nothing() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let with = |offset, attempts, code| NewFailedEvent {
        attempts: NonZeroU32::new(attempts).unwrap(),
        ..dead_letter(offset, code)
    };
    let letters = [with(3, 5, "timeout"), with(8, 6, "refused")];
    let mut id = FailedEventId::new(0);
    for letter in &letters {
        id = store.record(std::slice::from_ref(letter)).await.unwrap()[0];
        replay(&mut store, id).await;
    }
    // One by one, then together.
    for batch in [&letters[..1], &letters[1..], &letters[..]] {
        store.record(batch).await.unwrap();
        let event = store.get(id).await.unwrap().unwrap().event;
        assert_eq!(
            (event.status, event.attempts, event.error.code()),
            (Status::Replayed, 6, "refused")
        );
    }
    // The topic was made anew: its offsets begin again, the attempts do not.
    store.record(&[with(0, 7, "gone")]).await.unwrap();
    let event = store.get(id).await.unwrap().unwrap().event;
    assert_eq!(
        (event.status, event.attempts, event.error.code()),
        (Status::Open, 7, "gone")
    );
}

#[tokio::test]
async fn what_was_discarded_stays_so() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let id = store.record(&[dead_letter(0, "timeout")]).await.unwrap()[0];
    store.discard(&[id], "me", None).await.unwrap();
    store.record(&[dead_letter(1, "timeout")]).await.unwrap();
    assert_eq!(
        store.get(id).await.unwrap().unwrap().event.status,
        Status::Discarded
    );
}

#[tokio::test]
async fn times_from_a_header_are_not_trusted() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
    let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1 << 40);
    let yesterday = SystemTime::now() - Duration::from_secs(86_400);
    for (offset, claimed) in [(1, far), (2, before), (3, yesterday)] {
        let mut event = of_consumer("g", offset);
        event.first_failed_at = Some(claimed);
        let id = store.record(&[event]).await.unwrap()[0];
        let stored = store.get(id).await.unwrap().unwrap().event;
        let age = SystemTime::now()
            .duration_since(stored.first_failed_at)
            .unwrap_or_default();
        let plausible = if claimed == yesterday { 86_400 } else { 0 };
        assert!(age.as_secs().abs_diff(plausible) < 60, "{offset}: {age:?}");
    }
}
