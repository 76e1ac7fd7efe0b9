//! Failures are told once, and a receiver that is away holds nothing up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dead_letters::{Alert, AlertError, AlertPlan, AlertSink, Alerts};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::database::Database;
use crate::heard::{Counted, lines, listen_to_lines};
use crate::letters::{Running, letter};

/// Somebody who is told, or away.
#[derive(Debug, Clone, Default)]
struct Told {
    alerts: Arc<Mutex<Vec<Alert>>>,
    away: Arc<AtomicBool>,
    tries: Arc<Mutex<u32>>,
}

impl AlertSink for Told {
    async fn send(&self, alert: &Alert) -> Result<(), AlertError> {
        *self.tries.lock().unwrap() += 1;
        if self.away.load(Ordering::Relaxed) {
            return Err(AlertError::new("nobody there"));
        }
        self.alerts.lock().unwrap().push(alert.clone());
        Ok(())
    }
}

impl Told {
    fn count(&self) -> usize {
        self.alerts.lock().unwrap().len()
    }

    async fn wait_for(&self, what: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !what(self) {
            assert!(Instant::now() < deadline, "{self:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

const PLAN: AlertPlan = AlertPlan {
    window: Duration::from_secs(3600),
    interval: Duration::from_millis(50),
    put_off: Duration::from_millis(100),
};

/// Instances that look until the test is over.
struct Looking {
    instances: JoinSet<()>,
    shutdown: CancellationToken,
}

impl Looking {
    fn start(database: &Database, told: &Told, instances: usize) -> Self {
        let shutdown = CancellationToken::new();
        let mut looking = JoinSet::new();
        for _ in 0..instances {
            let alerts = Alerts::new(database.options().clone(), PLAN, told.clone());
            looking.spawn(alerts.run(shutdown.clone()));
        }
        Self {
            instances: looking,
            shutdown,
        }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.instances.join_all().await;
    }
}

#[tokio::test]
async fn tells_a_reason_once_however_many_look_and_however_often_it_fails() {
    let database = Database::create().await;
    let running = Running::start(&database);
    let told = Told::default();
    let looking = Looking::start(&database, &told, 4);
    running.store(&letter(0, 0, 1)).await.unwrap();
    database
        .wait_for("SELECT count(sent_at) = 1 FROM cdc.alert")
        .await;
    for offset in 1..50 {
        running.store(&letter(offset, offset, 1)).await.unwrap();
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(told.count(), 1);
    // The window ends: whatever else was told by then would be in the counts.
    database
        .execute("UPDATE cdc.alert SET sent_at = now() - interval '2 hours'")
        .await;
    told.wait_for(|told| told.count() > 1).await;
    looking.stop().await;
    let alerts = told.alerts.lock().unwrap().clone();
    assert_eq!(alerts.len(), 2, "{alerts:?}");
    let counts: Vec<_> = alerts
        .iter()
        .map(|alert| (alert.failures, alert.open))
        .collect();
    assert_eq!(counts, [(1, 1), (49, 50)]);
}

#[tokio::test]
async fn says_what_failed_how_often_and_what_to_type() {
    let database = Database::create().await;
    let running = Running::start(&database);
    for offset in 0..3 {
        running.store(&letter(offset, offset, 1)).await.unwrap();
    }
    let told = Told::default();
    let looking = Looking::start(&database, &told, 1);
    told.wait_for(|told| told.count() > 0).await;
    looking.stop().await;
    let event = database.events().await.remove(2).event;
    let alert = told.alerts.lock().unwrap()[0].clone();
    assert_eq!(
        alert.title(),
        "3 events of orders failed in billing with webhook-status"
    );
    let text = alert.text();
    for part in [
        "the endpoint answered 500",
        "caused by: first cause\ncaused by: second cause",
        &format!("cdc-relay recover show {}", event.id),
        &format!(
            "cdc-relay recover replay --fingerprint {}",
            event.fingerprint
        ),
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    let json = alert.json();
    assert_eq!(
        (json["failures"].as_u64(), json["code"].as_str()),
        (Some(3), Some("webhook-status"))
    );
    assert_eq!(
        json["causes"],
        serde_json::json!(["first cause", "second cause"])
    );
    assert_eq!(json["backtrace"], "   0: main");
}

#[tokio::test]
async fn a_receiver_that_is_away_is_told_later_and_holds_nothing_up() {
    let database = Database::create().await;
    let running = Running::start(&database);
    let told = Told::default();
    told.away.store(true, Ordering::Relaxed);
    let looking = Looking::start(&database, &told, 1);
    running.store(&letter(0, 0, 1)).await.unwrap();
    // Three tries in a row, a second apart, then it is put off.
    told.wait_for(|told| *told.tries.lock().unwrap() >= 3).await;
    for offset in 1..20 {
        running.store(&letter(offset, offset, 1)).await.unwrap();
    }
    assert_eq!(database.events().await.len(), 20);
    assert_eq!(told.count(), 0);
    // The tries that come now may be for what was counted before; those after them are not.
    let tries = *told.tries.lock().unwrap();
    told.wait_for(|told| *told.tries.lock().unwrap() > (tries / 3 + 1) * 3)
        .await;
    told.away.store(false, Ordering::Relaxed);
    told.wait_for(|told| told.count() > 0).await;
    looking.stop().await;
    assert_eq!(told.alerts.lock().unwrap()[0].failures, 20);
}

#[tokio::test]
async fn an_alert_that_cannot_be_sent_is_counted_and_logged_with_its_reason() {
    const ALERTS: &str = "cdc_dead_letters_alerts_total";
    listen_to_lines();
    let counted = Counted::default();
    let _counting = counted.listen();
    let outcomes = || ["failed", "sent"].map(|outcome| counted.count(ALERTS, ("outcome", outcome)));
    let database = Database::create().await;
    let running = Running::start(&database);
    let told = Told::default();
    told.away.store(true, Ordering::Relaxed);
    running.store(&letter(0, 0, 1)).await.unwrap();
    let looking = Looking::start(&database, &told, 1);
    told.wait_for(|_| outcomes() == [1, 0]).await;
    // Three tries are one alert.
    assert_eq!(*told.tries.lock().unwrap(), 3);
    let fingerprint = database.events().await.remove(0).event.fingerprint;
    let lines = lines();
    let [line] = &lines[..] else {
        panic!("{lines:?}")
    };
    for part in [
        "an alert could not be sent: 1 event of orders failed in billing with webhook-status",
        "error=nobody there",
        &format!("fingerprint=\"{fingerprint}\""),
    ] {
        assert!(line.contains(part), "no {part:?} in {line}");
    }

    told.away.store(false, Ordering::Relaxed);
    told.wait_for(|_| outcomes()[1] == 1).await;
    looking.stop().await;
    assert_eq!(told.count(), 1);
}

#[tokio::test]
async fn a_store_that_was_away_brings_no_storm() {
    let database = Database::create().await;
    let running = Running::start(&database);
    let told = Told::default();
    let looking = Looking::start(&database, &told, 2);
    running.store(&letter(0, 0, 1)).await.unwrap();
    told.wait_for(|told| told.count() > 0).await;
    database.close().await;
    assert!(running.store(&letter(1, 1, 1)).await.is_err());
    database.open().await;
    let deadline = Instant::now() + Duration::from_secs(20);
    while running.store(&letter(1, 1, 1)).await.is_err() {
        assert!(Instant::now() < deadline, "it is never stored");
        sleep(Duration::from_millis(20)).await;
    }
    // Another reason is told, so that looking goes on; the first one is not told again.
    let mut store = database.store().await;
    let mut other = cdc_store::NewFailedEvent {
        origin: database.events().await.remove(0).event.origin,
        event_id: None,
        target: None,
        contents: cdc_store::Contents::default(),
        error: cdc_store::ErrorReport::new("other", "other", []),
        attempts: std::num::NonZeroU32::MIN,
        first_failed_at: None,
        dead_letter: None,
    };
    if let cdc_store::Origin::Consumer { record, .. } = &mut other.origin {
        record.offset = 99;
    }
    store.record(&[other]).await.unwrap();
    told.wait_for(|told| told.count() > 1).await;
    looking.stop().await;
    let alerts = told.alerts.lock().unwrap();
    let codes: Vec<_> = alerts.iter().map(|alert| alert.code.as_str()).collect();
    assert_eq!(codes, ["webhook-status", "other"]);
}
