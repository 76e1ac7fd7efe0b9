//! What every test needs: a database with an outbox, a slot, a topic, and somebody who listens to the alerts.

use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use cdc_kafka::{KafkaOptions, TopicConfig};
use futures_util::future::{join_all, maybe_done};
use guarded_producer::{
    Alerts, Cause, Event, GuardedProducer, Payload, Placed, SendError, Settings, SlotName, Stay,
    Way,
};
use test_database::Database;
use tokio::task::unconstrained;

use crate::relay;
use crate::topic::{Topic, brokers};

/// How long anything may take that normally takes well under a second.
pub(crate) const SOON: Duration = Duration::from_secs(30);

const OUTBOX: &str = include_str!("../../../../sql/V1__outbox.sql");

/// A database and a topic of the test's own.
pub(crate) struct Stage {
    pub(crate) database: Database,
    pub(crate) slot: SlotName,
    /// The topic of aggregate type `order`.
    pub(crate) topic: Topic,
    pub(crate) heard: Heard,
}

/// What was told, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<String>>>);

impl Alerts for Heard {
    fn entered(&self, cause: Cause, _: Option<&cdc_kafka::Error>) {
        self.0.lock().unwrap().push(cause.as_str().to_owned());
    }

    fn left(&self, stay: &Stay) {
        let told = format!("left {} stored {}", stay.cause.as_str(), stay.stored);
        self.0.lock().unwrap().push(told);
    }
}

impl Heard {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Stage {
    /// A topic with one partition that takes everything.
    pub(crate) async fn new() -> Self {
        Self::with_topic(TopicConfig::new()).await
    }

    pub(crate) async fn with_topic(config: TopicConfig) -> Self {
        let stage = Self::without_topic().await;
        stage.topic.create(config).await;
        stage
    }

    /// Kafka is well, but takes nothing: the topic does not exist.
    pub(crate) async fn without_topic() -> Self {
        let database = Database::create("guarded").await;
        database.execute("CREATE SCHEMA cdc").await;
        database.execute(OUTBOX).await;
        Self {
            slot: relay::slot(&database).await,
            topic: Topic(format!("{}.order", database.name())),
            database,
            heard: Heard::default(),
        }
    }

    /// As a service would have them.
    pub(crate) fn settings(&self) -> Settings {
        let options = self.database.options().clone();
        let mut settings = Settings::new(KafkaOptions::new(brokers()), options, self.slot.clone());
        let template = format!("{}.${{routedByValue}}", self.database.name());
        settings.outbox.topic = template.parse().unwrap();
        settings
    }

    /// With less patience, so that a test is short.
    pub(crate) fn impatient(&self) -> Settings {
        let mut settings = self.settings();
        settings.delivery_timeout = Duration::from_millis(800);
        settings
    }

    pub(crate) fn start(&self, settings: Settings) -> Arc<GuardedProducer> {
        Arc::new(GuardedProducer::start(settings, self.heard.clone()).unwrap())
    }

    /// One that sends to Kafka.
    pub(crate) async fn start_directly(&self, settings: Settings) -> Arc<GuardedProducer> {
        let producer = self.start(settings);
        until("the direct way", async || producer.way() == Way::Direct).await;
        producer
    }

    /// The ids in the outbox, in the order in which they were stored.
    pub(crate) async fn stored(&self) -> Vec<String> {
        let sql = "SELECT id::text FROM cdc.outbox ORDER BY ctid";
        let rows = self.database.client().await.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

/// An event of one key whose payload is its number.
pub(crate) fn event(number: u32) -> Event {
    let payload = Payload::json(number.to_string()).unwrap();
    Event::new("order", "order.paid", payload).with_key("7")
}

/// Sends many at once, in this order, and gives the answers in this order.
pub(crate) async fn send_all(
    producer: &GuardedProducer,
    events: impl IntoIterator<Item = Event>,
) -> Vec<Result<Placed, SendError>> {
    let mut sends = Vec::new();
    for event in events {
        // Unconstrained: tokio would have some of them wait for others to have their turn.
        let mut send = Box::pin(maybe_done(unconstrained(producer.send(event))));
        poll_fn(|context| Poll::Ready(send.as_mut().poll(context).is_ready())).await;
        sends.push(send);
    }
    join_all(sends.iter_mut()).await;
    let answers = sends.iter_mut().map(|send| send.as_mut().take_output());
    answers.map(Option::unwrap).collect()
}

/// Looks again and again until it is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < SOON, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
