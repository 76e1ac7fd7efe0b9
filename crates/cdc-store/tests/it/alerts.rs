//! Failures are told once for each reason and window, by one of many.

use std::time::Duration;

use cdc_store::{AlertClaim, AlertSettings, ErrorReport, FailedEvents, NewFailedEvent};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::database::Database;
use crate::events::of_consumer;

const SETTINGS: AlertSettings = AlertSettings {
    window: Duration::from_secs(3600),
    lease: Duration::from_secs(60),
    limit: 10,
};

fn failing(offset: i64, code: &str) -> NewFailedEvent {
    let error = ErrorReport::new(code, &format!("{code} at {offset}"), []);
    NewFailedEvent {
        error,
        ..of_consumer("billing", offset)
    }
}

async fn claimed(store: &mut FailedEvents) -> Vec<AlertClaim> {
    store.claim_alerts(SETTINGS).await.unwrap()
}

#[tokio::test]
async fn a_reason_is_told_once_with_its_count_and_its_last_event() {
    let database = Database::create().await;
    let mut store = database.store().await;
    store
        .record(&[failing(1, "timeout"), failing(2, "refused")])
        .await
        .unwrap();
    let last = store.record(&[failing(3, "timeout")]).await.unwrap()[0];
    let claims = claimed(&mut store).await;
    let mut seen: Vec<_> = claims
        .iter()
        .map(|claim| (claim.code.as_str(), claim.failures, claim.open))
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, [("refused", 1, 1), ("timeout", 2, 2)]);
    let timeout = claims.iter().find(|claim| claim.code == "timeout").unwrap();
    assert_eq!(
        (timeout.scope.as_str(), timeout.topic.as_deref()),
        ("billing", Some("orders"))
    );
    assert_eq!(
        (timeout.last_event, timeout.message.as_str()),
        (last, "timeout at 3")
    );
    for claim in &claims {
        assert!(store.alert_sent(claim).await.unwrap());
    }
    store.record(&[failing(4, "timeout")]).await.unwrap();
    assert_eq!(
        claimed(&mut store).await,
        [],
        "told again within the window"
    );
}

#[tokio::test]
async fn after_the_window_only_what_is_new_is_told() {
    let database = Database::create().await;
    let mut store = database.store().await;
    store
        .record(&[failing(1, "timeout"), failing(2, "refused")])
        .await
        .unwrap();
    for claim in claimed(&mut store).await {
        store.alert_sent(&claim).await.unwrap();
    }
    store.record(&[failing(3, "timeout")]).await.unwrap();
    database
        .execute("UPDATE cdc.alert SET sent_at = now() - interval '2 hours'")
        .await;
    let claims = claimed(&mut store).await;
    let seen: Vec<_> = claims
        .iter()
        .map(|claim| (claim.code.as_str(), claim.failures, claim.open))
        .collect();
    assert_eq!(seen, [("timeout", 1, 2)]);
}

#[tokio::test]
async fn what_somebody_dealt_with_is_not_told() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let ids = store.record(&[failing(1, "timeout")]).await.unwrap();
    store.discard(&ids, "me", None).await.unwrap();
    assert_eq!(claimed(&mut store).await, []);
}

#[tokio::test]
async fn of_many_instances_one_tells_it() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let reasons: Vec<_> = (0..6)
        .map(|code| failing(code, &code.to_string()))
        .collect();
    store.record(&reasons).await.unwrap();
    let mut looking = JoinSet::new();
    for _ in 0..8 {
        let mut store = database.store().await;
        looking.spawn(async move {
            let claims = store.claim_alerts(SETTINGS).await.unwrap();
            for claim in &claims {
                assert!(store.alert_sent(claim).await.unwrap());
            }
            claims.len()
        });
    }
    let told: usize = looking.join_all().await.into_iter().sum();
    assert_eq!(told, reasons.len());
}

#[tokio::test]
async fn what_could_not_be_told_is_told_later_and_what_a_killed_one_held_too() {
    let database = Database::create().await;
    let mut store = database.store().await;
    store
        .record(&[failing(1, "timeout"), failing(2, "refused")])
        .await
        .unwrap();
    let short = AlertSettings {
        lease: Duration::from_millis(300),
        ..SETTINGS
    };
    let claims = store.claim_alerts(short).await.unwrap();
    assert_eq!(claims.len(), 2);
    store
        .alert_failed(&claims[0], Duration::from_millis(300))
        .await
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut again = Vec::new();
    while again.len() < 2 {
        assert!(Instant::now() < deadline, "{again:?}");
        again.extend(claimed(&mut store).await);
        sleep(Duration::from_millis(50)).await;
    }
    // The one that was killed comes back to life: it holds nothing any more.
    assert!(!store.alert_sent(&claims[1]).await.unwrap());
    for claim in &again {
        assert!(store.alert_sent(claim).await.unwrap());
    }
}
