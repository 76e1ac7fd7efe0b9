//! What comes out at the other end, record by record: for tests that look at more than the workload's events.
//!
//! With [`one_topic`] all events of a scenario go to a single partition. A test writes a last event, reads until that
//! one, and so knows all that came before it, and in which order, without waiting for what must not come.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::relay::Relay;
use cdc_e2e::wait::{Look, until};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// How long anything may take that normally takes well under a second.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// The exit status for a dependency that refuses for good.
const REFUSED: i32 = 69;

/// One Kafka record, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) timestamp_ms: Option<i64>,
}

impl Record {
    /// The header `id`, or nothing if it is missing.
    pub(crate) fn id(&self) -> &str {
        self.header("id").unwrap_or_default()
    }

    /// The first header of this name, as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        str::from_utf8(self.header_bytes(name)?).ok()
    }

    /// The first header of this name.
    pub(crate) fn header_bytes(&self, name: &str) -> Option<&[u8]> {
        let mut headers = self.headers.iter();
        headers.find_map(|(found, value)| value.as_deref().filter(|_| found == name))
    }

    /// The key as text.
    pub(crate) fn key_text(&self) -> Option<&str> {
        self.key.as_deref().and_then(|key| str::from_utf8(key).ok())
    }

    /// The value as text.
    pub(crate) fn value_text(&self) -> Option<&str> {
        self.value
            .as_deref()
            .and_then(|value| str::from_utf8(value).ok())
    }

    fn of(message: &BorrowedMessage<'_>) -> Self {
        let headers = message
            .headers()
            .into_iter()
            .flat_map(|headers| headers.iter());
        Self {
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers
                .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
                .collect(),
            timestamp_ms: message.timestamp().to_millis(),
        }
    }
}

/// Sends all events of the scenario to one topic with one partition.
pub(crate) fn one_topic(scenario: Scenario) -> Scenario {
    let topic = topic_of(&scenario);
    scenario
        .with("CDC_KAFKA__TOPICS__PARTITIONS", "1")
        .with("CDC_OUTBOX__TOPIC", topic)
}

/// The ids of the records in the topic of [`one_topic`], up to the first with id `last`.
pub(crate) async fn ids_until(scenario: &Scenario, last: &str) -> Result<Vec<String>> {
    let records = records_until(scenario, last).await?;
    Ok(records
        .iter()
        .map(|record| record.id().to_owned())
        .collect())
}

/// The records in the topic of [`one_topic`], up to the first with id `last`.
pub(crate) async fn records_until(scenario: &Scenario, last: &str) -> Result<Vec<Record>> {
    records_of(scenario, &topic_of(scenario), last).await
}

/// The records of a topic with one partition, from its beginning up to the first with id `last`.
pub(crate) async fn records_of(
    scenario: &Scenario,
    topic: &str,
    last: &str,
) -> Result<Vec<Record>> {
    let is_last = |records: &[Record]| records.last().is_some_and(|record| record.id() == last);
    read(scenario, topic, &format!("record {last:?}"), is_last).await
}

/// The first `count` records of a topic with one partition.
pub(crate) async fn first_records_of(
    scenario: &Scenario,
    topic: &str,
    count: usize,
) -> Result<Vec<Record>> {
    let is_last = |records: &[Record]| records.len() == count;
    read(scenario, topic, &format!("{count} records"), is_last).await
}

async fn read(
    scenario: &Scenario,
    topic: &str,
    what: &str,
    is_last: impl Fn(&[Record]) -> bool,
) -> Result<Vec<Record>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", scenario.kafka_brokers())
        // Required for `assign`; nothing is ever committed in it.
        .set("group.id", scenario.database().name())
        .set("enable.auto.commit", "false")
        .set_log_level(RDKafkaLogLevel::Emerg)
        .create()?;
    let mut from_start = TopicPartitionList::new();
    from_start.add_partition_offset(topic, 0, Offset::Beginning)?;
    until(SOON, &format!("topic {topic}"), async || {
        let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(2))?;
        let partitions = metadata
            .topics()
            .first()
            .map_or(0, |t| t.partitions().len());
        Ok(Look::when(partitions == 1, partitions))
    })
    .await?;
    consumer.assign(&from_start)?;
    let mut records = Vec::new();
    until(SOON, what, async || {
        while let Some(message) = consumer.poll(Duration::ZERO) {
            records.push(Record::of(&message?));
            if is_last(&records) {
                return Ok(Look::Ready(()));
            }
        }
        let ids: Vec<_> = records.iter().map(Record::id).collect();
        Ok(Look::NotYet(format!("{ids:?}")))
    })
    .await?;
    Ok(records)
}

/// The id that the tests give to their `n`th event.
pub(crate) fn id(n: u32) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

/// Ids of many events.
pub(crate) fn ids(numbers: impl IntoIterator<Item = u32>) -> Vec<String> {
    numbers.into_iter().map(id).collect()
}

/// The SQL that writes the `n`th event.
pub(crate) fn emit(n: u32) -> String {
    let id = id(n);
    format!("SELECT cdc.emit('order', 'k', 'Happened', '{{}}', NULL, '{id}');")
}

/// Waits until the relay stops by itself because somebody has to do something about `code`. What it reported.
pub(crate) async fn refused(scenario: &Scenario, relay: Relay, code: &str) -> Result<String> {
    let prefix = format!("[{}] ", relay.pid().0);
    let status = relay.exit(SOON).await?;
    let log = scenario.log().tail(usize::MAX);
    let lines = log.lines().filter_map(|line| line.strip_prefix(&prefix));
    let report = lines.collect::<Vec<_>>().join("\n");
    ensure!(
        status.code() == Some(REFUSED),
        "the relay ended with {status}"
    );
    ensure!(
        report.contains(&format!("error[{code}]")),
        "expected {code}:\n{report}"
    );
    Ok(report)
}

/// Moves the slot past the transaction that a report of CDC0032 names, as somebody would who gives the event up.
pub(crate) async fn skip_the_reported_transaction(scenario: &Scenario, report: &str) -> Result<()> {
    let (_, rest) = report
        .rsplit_once("the event at ")
        .context("no report says where")?;
    let (commit, _) = rest.split_once('#').context("the position has no index")?;
    let slot = scenario.database().name();
    // The commit's record is skipped when the slot stands past its first byte.
    let advance = format!("SELECT pg_replication_slot_advance('{slot}', '{commit}'::pg_lsn + 1)");
    until(SOON, "the slot to be free", async || {
        let session = scenario.database().session().await?;
        session.batch_execute(&advance).await?;
        Ok(Look::Ready(()))
    })
    .await
}

fn topic_of(scenario: &Scenario) -> String {
    format!("{}.events", scenario.database().name())
}
