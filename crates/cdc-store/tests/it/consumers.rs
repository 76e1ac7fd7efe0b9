//! Dead letters of consumers.

use std::time::{Duration, SystemTime};

use cdc_store::{ErrorReport, FailedEventId, FailedEvents, KafkaPosition, NewFailedEvent, Status};

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
