//! A notifier between a database and a receiver.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cdc_event::{
    Attempt, FailedPart, Failure, Handler, Headers, KafkaPosition, PartDisposition, PartId, Record,
};
use notifier::{
    Alerts, Deliveries, DeliveryState, DisabledReason, EndpointId, Endpoints, Notifier, SecretKeys,
    Settings, Warning,
};
use pg_replication::ConnectOptions;
use webhook::{Client, Guard, GuardSettings};

use crate::database::Database;
use crate::receiver::Receiver;

/// The deadline of a request.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(1500);

/// How long a claim lasts beyond that.
pub(crate) const MARGIN: Duration = Duration::from_millis(500);

const LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) database: Database,
    pub(crate) receiver: Receiver,
    pub(crate) client: Client,
    pub(crate) alerts: Arc<Told>,
}

/// What was alerted.
#[derive(Debug, Default)]
pub(crate) struct Told {
    disabled: Mutex<Vec<(String, DisabledReason)>>,
    failing: Mutex<Vec<(String, u8)>>,
}

impl Alerts for Told {
    fn endpoint_disabled(&self, endpoint: &EndpointId, reason: DisabledReason) {
        let mut disabled = self.disabled.lock().unwrap();
        disabled.push((endpoint.to_string(), reason));
    }

    fn endpoint_failing(&self, endpoint: &EndpointId, warning: Warning) {
        let mut failing = self.failing.lock().unwrap();
        failing.push((endpoint.to_string(), warning.percent));
    }
}

impl Told {
    pub(crate) fn all(&self) -> Vec<(String, DisabledReason)> {
        self.disabled.lock().unwrap().clone()
    }

    /// Waits until so many endpoints were disabled.
    pub(crate) async fn wait_for(&self, disabled: usize) {
        let deadline = tokio::time::Instant::now() + LIMIT;
        while self.all().len() < disabled {
            assert!(tokio::time::Instant::now() < deadline, "{self:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The warnings: endpoint and per cent.
    pub(crate) fn warnings(&self) -> Vec<(String, u8)> {
        self.failing.lock().unwrap().clone()
    }
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self {
            database: Database::create().await,
            receiver: Receiver::start().await,
            client: client(TIMEOUT),
            alerts: Arc::default(),
        }
    }

    /// A notifier that reads endpoints and subscriptions anew for each record.
    pub(crate) async fn notifier(&self) -> Notifier {
        self.notifier_with(settings()).await
    }

    pub(crate) async fn notifier_with(&self, settings: Settings) -> Notifier {
        self.notifier_at(self.database.options(), settings).await
    }

    pub(crate) async fn notifier_at(
        &self,
        options: &ConnectOptions,
        settings: Settings,
    ) -> Notifier {
        let alerts = Arc::clone(&self.alerts) as Arc<dyn Alerts>;
        Notifier::start(
            options,
            self.client.clone(),
            SecretKeys::default(),
            alerts,
            settings,
        )
        .await
        .unwrap()
    }

    /// Adds an endpoint whose path is its name, subscribed to everything.
    pub(crate) async fn endpoint(&self, id: &str) {
        self.endpoint_with(id, "").await;
    }

    /// The same, and then sets columns of it.
    pub(crate) async fn endpoint_with(&self, id: &str, set: &str) {
        let url = self.receiver.url(id);
        self.database
            .execute(&format!(
                "INSERT INTO cdc.endpoint (id, url) VALUES ('{id}', '{url}');
                 INSERT INTO cdc.subscription (endpoint_id) VALUES ('{id}');"
            ))
            .await;
        if !set.is_empty() {
            self.database
                .execute(&format!("UPDATE cdc.endpoint SET {set} WHERE id = '{id}'"))
                .await;
        }
    }

    pub(crate) fn endpoints(&self) -> Endpoints {
        Endpoints::new(
            self.database.options(),
            self.client.clone(),
            SecretKeys::default(),
            LIMIT,
        )
    }

    pub(crate) fn deliveries(&self) -> Deliveries {
        Deliveries::new(self.database.options(), LIMIT)
    }

    /// The state of a delivery.
    pub(crate) async fn state(&self, event: &str, endpoint: &str) -> Option<DeliveryState> {
        let all = self.deliveries().of_event(event).await.unwrap();
        all.iter()
            .find(|delivery| delivery.endpoint.as_str() == endpoint)
            .map(|delivery| delivery.state)
    }

    /// Waits until a delivery is in a state.
    pub(crate) async fn wait_for_state(&self, event: &str, endpoint: &str, state: DeliveryState) {
        let deadline = tokio::time::Instant::now() + LIMIT;
        loop {
            let now = self.state(event, endpoint).await;
            if now == Some(state) {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "still {now:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the lease of every claim has ended.
    pub(crate) async fn wait_for_leases(&self) {
        const SQL: &str = "SELECT count(*) FROM cdc.delivery WHERE lease_until >= now()";
        let deadline = tokio::time::Instant::now() + LIMIT;
        while self.database.text(SQL).await.as_deref() != Some("0") {
            assert!(
                tokio::time::Instant::now() < deadline,
                "a lease does not end"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub(crate) fn client(timeout: Duration) -> Client {
    let guard = GuardSettings {
        allow: vec!["127.0.0.0/8".parse().unwrap()],
        ..GuardSettings::default()
    };
    Client::new(webhook::Settings {
        guard: Guard::new(guard),
        timeout,
        ..webhook::Settings::default()
    })
    .unwrap()
}

pub(crate) fn settings() -> Settings {
    Settings {
        timeout: TIMEOUT,
        lease_margin: MARGIN,
        patience: Duration::from_millis(250),
        cache_expiry: Duration::ZERO,
        ..Settings::default()
    }
}

/// The event `id` of the subject `ann` and the type `post.created`, in a place of its own.
pub(crate) fn record(id: &str) -> Record {
    let mut headers = Headers::new();
    headers.push("id", Some(id.into()));
    headers.push("eventType", Some(b"post.created".to_vec()));
    Record {
        origin: KafkaPosition {
            topic: "posts".into(),
            partition: 0,
            offset: 1,
        },
        part: None,
        key: Some(b"ann".to_vec()),
        value: Some(br#"{"title":"Hello"}"#.to_vec()),
        headers,
        timestamp_ms: Some(1_700_000_000_000),
    }
}

/// The same for one endpoint.
pub(crate) fn part(id: &str, endpoint: &str) -> Record {
    Record {
        part: Some(PartId::new(endpoint).unwrap()),
        ..record(id)
    }
}

pub(crate) async fn handle(notifier: &Notifier, record: &Record) -> Result<(), Failure> {
    notifier.handle(record, Attempt::FIRST).await
}

/// The delivery was not tried: what for, and for how long it is put off.
pub(crate) fn wait(result: Result<(), Failure>) -> (String, Duration) {
    let Err(Failure::Partial { parts }) = result else {
        panic!("not a partial failure: {result:?}");
    };
    match parts.as_slice() {
        [
            FailedPart {
                error,
                disposition: PartDisposition::Wait { after },
                ..
            },
        ] => (error.code().to_string(), *after),
        other => panic!("not one wait: {other:?}"),
    }
}

/// The deliveries are under way: their endpoints and codes, and for how long the record is put off.
pub(crate) fn underway(result: Result<(), Failure>) -> Vec<(String, String, Duration)> {
    let Err(Failure::Partial { parts }) = result else {
        panic!("not a partial failure: {result:?}");
    };
    let mut parts: Vec<_> = parts
        .iter()
        .map(|part| match part.disposition {
            PartDisposition::Underway { after } => {
                (part.part.to_string(), part.error.code().to_string(), after)
            }
            PartDisposition::Transient { .. }
            | PartDisposition::Wait { .. }
            | PartDisposition::Poison => panic!("it has ended: {part:?}"),
        })
        .collect();
    parts.sort();
    parts
}

/// The same of the only one.
pub(crate) fn only_underway(result: Result<(), Failure>) -> (String, Duration) {
    let parts = underway(result);
    assert_eq!(parts.len(), 1, "{parts:?}");
    (parts[0].1.clone(), parts[0].2)
}

/// What failed of a record: endpoint, code, whether it comes again.
pub(crate) fn parts(result: Result<(), Failure>) -> Vec<(String, String, bool)> {
    let Err(Failure::Partial { parts }) = result else {
        panic!("not a partial failure: {result:?}");
    };
    let mut parts: Vec<_> = parts
        .iter()
        .map(|part| {
            let again = match part.disposition {
                PartDisposition::Transient { .. } => true,
                PartDisposition::Poison => false,
                PartDisposition::Wait { .. } | PartDisposition::Underway { .. } => {
                    panic!("it has not ended: {part:?}")
                }
            };
            (part.part.to_string(), part.error.code().to_string(), again)
        })
        .collect();
    parts.sort();
    parts
}

/// The only part that failed: its code, and whether it comes again.
pub(crate) fn only_part(result: Result<(), Failure>) -> (String, bool) {
    let parts = parts(result);
    assert_eq!(parts.len(), 1, "{parts:?}");
    (parts[0].1.clone(), parts[0].2)
}
