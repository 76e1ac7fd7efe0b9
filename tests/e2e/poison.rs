//! `poison = "park"`: an event that can't be sent is stored, and all others arrive.

mod large;
mod rows;
mod stopping;
mod store_away;

use std::time::Duration;

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::random::Random;
use cdc_e2e::relay::Relay;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

use crate::outlet::{SOON, id, ids, ids_until, one_topic, records_of};

const DELIVERIES: [&str; 2] = ["exactly_once", "at_least_once"];

/// One event in the store.
#[derive(Debug, PartialEq, Eq)]
struct Parked {
    event: Option<String>,
    code: String,
    topic: Option<String>,
    key: Option<String>,
    payload_bytes: Option<i32>,
    /// It has the time of its commit, a moment ago.
    timed: bool,
}

async fn parking(delivery: &str) -> Result<Scenario> {
    Ok(Scenario::shared()
        .await?
        .with("CDC_KAFKA__TOPICS__PARTITIONS", "1")
        .with("CDC_RELAY__DELIVERY", delivery)
        .with("CDC_RELAY__POISON", "park"))
}

async fn parked(scenario: &Scenario) -> Result<Vec<Parked>> {
    let query =
        "SELECT event_id, error_code, topic, convert_from(key, 'UTF8'), octet_length(payload),
                        COALESCE(record_timestamp / 1000
                                 BETWEEN extract(epoch FROM now()) - 600 AND extract(epoch FROM now()), FALSE)
                 FROM cdc.failed_event ORDER BY id";
    let rows = scenario
        .database()
        .session()
        .await?
        .query(query, &[])
        .await?;
    Ok(rows
        .iter()
        .map(|row| Parked {
            event: row.get(0),
            code: row.get(1),
            topic: row.get(2),
            key: row.get(3),
            payload_bytes: row.get(4),
            timed: row.get(5),
        })
        .collect())
}

/// How many the relay has counted as parked, by reason.
async fn counted(relay: &Relay, reason: &str) -> Result<Option<u32>> {
    let metrics = relay.admin().get("/metrics").await?.body;
    let wanted = format!("cdc_relay_parked_events_total{{reason=\"{reason}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&wanted));
    Ok(line.map(str::parse).transpose()?)
}

async fn create_topic(scenario: &Scenario, name: &str, max_message_bytes: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", scenario.kafka_brokers())
        .create()?;
    let topic = NewTopic::new(name, 1, TopicReplication::Fixed(1))
        .set("max.message.bytes", max_message_bytes);
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
    for created in admin.create_topics([&topic], &options).await? {
        created.map_err(|(topic, code)| anyhow::anyhow!("create {topic}: {code}"))?;
    }
    Ok(())
}

/// The SQL that writes the `n`th event, with a payload of that many bytes and more.
fn emit(n: u32, route: &str, payload: usize) -> String {
    // What counts for the topic is the size after compression.
    let mut random = Random::seeded(n.into());
    let text: String = (0..payload)
        .map(|_| {
            random.pick(&[
                'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p',
            ])
        })
        .collect();
    format!(
        "SELECT cdc.emit('{route}', 'k', 'T', '\"{text}\"', NULL, '{}');",
        id(n)
    )
}

/// Has the producer's first batch in the partition taken: from then on the broker keeps back what follows a refused one.
async fn known_to_the_broker(scenario: &Scenario) -> Result<()> {
    let session = scenario.database().session().await?;
    session.batch_execute(&emit(0, "order", 10)).await?;
    ids_until(scenario, &id(0)).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn parks_rows_that_are_no_events() -> Result<()> {
    for delivery in DELIVERIES {
        let scenario = parking(delivery)
            .await?
            .with("CDC_OUTBOX__TABLES", "public.loose");
        let session = scenario.database().session().await?;
        session
            .batch_execute(
                "CREATE TABLE loose (id text, aggregatetype text, aggregateid text, type text, payload text)",
            )
            .await?;
        scenario.init().await?;
        let relay = scenario.relay().await?;
        session
            .batch_execute(
                "INSERT INTO loose VALUES ('1', 'order', 'k', 't', '');
                 INSERT INTO loose VALUES (NULL, 'order', 'k', 't', 'no id');
                 INSERT INTO loose VALUES ('2', 'order', 'k', 't', ''), ('x', NULL, 'k', 't', 'no route'), ('3', 'order', 'k', 't', '');
                 INSERT INTO loose VALUES ('y', 'a b/c', 'k', 't', 'no topic');
                 BEGIN;
                 INSERT INTO loose VALUES ('z', NULL, 'k', 't', '');
                 INSERT INTO loose VALUES ('4', 'order', 'k', 't', '');
                 COMMIT;",
            )
            .await?;
        session
            .batch_execute("SELECT pg_logical_emit_message(true, 'outbox', 'not json')")
            .await?;
        session
            .batch_execute("SELECT pg_logical_emit_message(false, 'outbox', '{}')")
            .await?;
        session
            .batch_execute("INSERT INTO loose VALUES ('5', 'order', 'k', 't', '')")
            .await?;
        let topic = format!("{}.order", scenario.database().name());
        let records = records_of(&scenario, &topic, "5").await?;
        let found: Vec<_> = records.iter().map(|record| record.id()).collect();
        ensure!(found == ["1", "2", "3", "4", "5"], "{delivery}: {found:?}");
        let parked = parked(&scenario).await?;
        ensure!(parked.len() == 6, "{delivery}: {parked:?}");
        ensure!(
            parked
                .iter()
                .all(|event| event.code == "CDC0032" && event.payload_bytes > Some(0)),
            "{delivery}: {parked:?}"
        );
        let counted = counted(&relay, "invalid_row").await?;
        ensure!(counted == Some(6), "{delivery}: {counted:?}");
        // What is dealt with is not read again.
        relay.sigterm(SOON).await?;
        let _relay = scenario.relay().await?;
        session
            .batch_execute("INSERT INTO loose VALUES ('6', 'order', 'k', 't', '')")
            .await?;
        let records = records_of(&scenario, &topic, "6").await?;
        ensure!(records.len() == 6, "{delivery}: {records:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn parks_events_of_a_topic_that_is_missing_and_not_to_be_made() -> Result<()> {
    for delivery in DELIVERIES {
        let scenario = parking(delivery).await?;
        let topic = |route: &str| format!("{}.{route}", scenario.database().name());
        create_topic(&scenario, &topic("order"), "1000000").await?;
        let (order, user) = (topic("order"), topic("user"));
        let scenario = scenario.with("CDC_KAFKA__TOPICS__CREATE", "false");
        let relay = scenario.relay().await?;
        let session = scenario.database().session().await?;
        for n in 1..=4 {
            let both = emit(n, "order", 10) + &emit(n + 10, "user", 10);
            session.batch_execute(&both).await?;
        }
        session.batch_execute(&emit(5, "order", 10)).await?;
        let records = records_of(&scenario, &order, &id(5)).await?;
        let found: Vec<_> = records
            .iter()
            .map(|record| record.id().to_owned())
            .collect();
        ensure!(found == ids(1..=5), "{delivery}: {found:?}");
        let parked = parked(&scenario).await?;
        let events: Vec<_> = parked
            .iter()
            .filter_map(|parked| parked.event.clone())
            .collect();
        ensure!(events == ids(11..=14), "{delivery}: {parked:?}");
        ensure!(
            parked
                .iter()
                .all(|event| event.code == "CDC0042"
                    && event.topic.as_deref() == Some(user.as_str())),
            "{delivery}: {parked:?}"
        );
        let counted = counted(&relay, "unknown_topic").await?;
        ensure!(counted == Some(4), "{delivery}: {counted:?}");
    }
    Ok(())
}

/// The store is in the database of the outbox, without the table: nothing passes what cannot be stored.
#[tokio::test(flavor = "multi_thread")]
async fn sends_nothing_past_an_event_that_cannot_be_stored() -> Result<()> {
    let scenario = one_topic(parking("exactly_once").await?)
        .with("CDC_KAFKA__PRODUCER__MESSAGE_MAX_BYTES", "20000");
    let session = scenario.database().session().await?;
    session
        .batch_execute("ALTER TABLE cdc.failed_event RENAME TO elsewhere")
        .await?;
    let relay = scenario.start_relay()?;
    session.batch_execute(&emit(1, "order", 10)).await?;
    session.batch_execute(&emit(2, "order", 60_000)).await?;
    session.batch_execute(&emit(3, "order", 10)).await?;
    let status = relay.exit(SOON).await?;
    ensure!(status.code() == Some(69), "{status}");
    session
        .batch_execute("ALTER TABLE cdc.elsewhere RENAME TO failed_event")
        .await?;
    let _relay = scenario.relay().await?;
    ensure!(ids_until(&scenario, &id(3)).await? == ids([1, 3]));
    ensure!(parked(&scenario).await?.len() == 1);
    Ok(())
}
