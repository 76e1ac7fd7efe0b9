//! Dead letters that may not be written.

use std::time::Duration;

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::receiver::Receiver;
use cdc_e2e::wait::{Look, until};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::{USER, broker, by_password};
use crate::outlet::{SOON, emit, first_records_of, id, ids};

/// Events in all.
const EVENTS: u32 = 20;

/// Where a consumer group with the scenario's name stands in partition 0 of a topic.
fn committed(scenario: &Scenario, topic: &str) -> Result<Option<i64>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", scenario.kafka_brokers())
        .set("group.id", scenario.database().name())
        .create()?;
    let mut asked = TopicPartitionList::new();
    asked.add_partition(topic, 0);
    let found = consumer.committed_offsets(asked, SOON)?;
    let offset = found.elements().first().map(|element| element.offset());
    Ok(match offset {
        Some(Offset::Offset(offset)) => Some(offset),
        _ => None,
    })
}

/// Topics that the user may create and describe, and not write to until a test lets it.
const LOCKED: &str = "locked.";

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_that_may_not_be_written_wait_with_their_key_until_they_may() -> Result<()> {
    let broker = broker().await?;
    let locked = format!(
        "--deny-principal User:{} --operation Write --topic {LOCKED} --resource-pattern-type prefixed",
        USER.name
    );
    broker.add_acl(&locked).await?;
    let scenario = by_password(&broker, "SCRAM-SHA-512", USER.password).await?;
    let name = scenario.database().name().to_owned();
    let topic = format!("{name}.events");
    let consumer = format!(
        "[{{ group = '{name}', retry = {{ blocking = {{ kind = 'none' }}, tiers = [] }}, \
         dead_letter = '{LOCKED}{{topic}}' }}]"
    );
    let scenario = scenario
        .with("CDC_NOTIFY__TOPICS", &topic)
        .with("CDC_NOTIFY__GROUP", &name)
        .with("CDC_NOTIFY__ALLOW_PRIVATE_NETWORKS", "127.0.0.0/8")
        .with("CDC_RECOVER__CONSUMER", consumer);
    let receiver = Receiver::start().await?;
    receiver.answer_to("strict", &id(1), 400);
    let url = receiver.url("strict");
    scenario
        .run(&format!("endpoint add strict --url {url}"))
        .await?;
    let _relay = scenario.relay().await?;
    let mut notifier = scenario.start("notify")?;
    // Event 2 has the key of event 1, all others have keys of their own.
    let session = scenario.database().session().await?;
    session.batch_execute(&emit(2)).await?;
    for n in 3..=EVENTS {
        let other_key = emit(n).replace("'k'", &format!("'k{n}'"));
        session.batch_execute(&other_key).await?;
    }
    until(SOON, "the webhooks of the other keys", async || {
        let delivered: Vec<_> = receiver.delivered("strict").into_keys().collect();
        Ok(Look::when(
            delivered == ids(3..=EVENTS),
            format!("{delivered:?}"),
        ))
    })
    .await?;
    until(SOON, "it to be said", async || {
        let stuck = notifier
            .admin()
            .metric("cdc_recovery_stuck_records")
            .await?;
        Ok(Look::when(stuck == 1.0, stuck))
    })
    .await?;
    // It is tried again after 0.2 s, 0.4 s, 0.8 s, and nothing changes.
    tokio::time::sleep(Duration::from_secs(2)).await;
    ensure!(notifier.is_running(), "the notifier has ended");
    ensure!(
        receiver.count("strict") == EVENTS as usize - 1,
        "it was asked again"
    );
    ensure!(
        committed(&scenario, &topic)?.is_none(),
        "the offset has passed it"
    );
    let log = scenario.log().tail(usize::MAX);
    let said = "failed records cannot be handed over";
    ensure!(log.matches(said).count() == 1, "{log}");

    broker.remove_acl(&locked).await?;
    until(SOON, "the webhook of what was behind it", async || {
        let delivered = receiver.delivered("strict");
        Ok(Look::when(delivered.contains_key(&id(2)), delivered.len()))
    })
    .await?;
    let letters = first_records_of(&scenario, &format!("{LOCKED}{topic}"), 1).await?;
    ensure!(letters[0].id() == id(1), "{letters:?}");
    until(SOON, "the offset to be committed", async || {
        let committed = committed(&scenario, &topic)?;
        Ok(Look::when(
            committed == Some(i64::from(EVENTS)),
            format!("{committed:?}"),
        ))
    })
    .await?;
    notifier.sigterm(SOON).await?;
    ensure!(
        receiver.count("strict") == EVENTS as usize,
        "some were asked again"
    );
    Ok(())
}
