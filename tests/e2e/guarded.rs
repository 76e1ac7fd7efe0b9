//! A service that sends to Kafka directly, with the outbox as the way around an outage.

mod refusals;
mod service;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::services::Component;
use cdc_e2e::wait::{Look, until};

use self::service::{Answer, Prepared, Service};
use crate::outlet::{SOON, one_topic, records_until};

/// Twice what an answer takes at most that is no matter of Kafka's.
const AT_ONCE: Duration = Duration::from_secs(1);

/// The default `block_time`, and as much again for the machine.
const OUTAGE_NOTICED: Duration = Duration::from_secs(2);

fn service(scenario: &Scenario) -> Result<Service> {
    Prepared::new(scenario)?.start()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_broker_is_down_nobody_hangs_and_what_is_kept_arrives_in_order() -> Result<()> {
    let scenario = one_topic(Scenario::private(&[Component::Kafka]).await?);
    let _relay = scenario.relay().await?;
    let mut service = service(&scenario)?;
    let mut ids = service.send_until_sent("k").await?;
    for _ in 0..10 {
        ids.push(service.send("k").await?.sent()?);
    }

    scenario.servers()?.kill(Component::Kafka).await?;
    let first = service.send("k").await?;
    ensure!(first.took < OUTAGE_NOTICED, "{first:?}");
    ids.push(first.stored()?);
    for _ in 0..50 {
        let answer = service.send("k").await?;
        ensure!(answer.took < AT_ONCE, "{answer:?}");
        ids.push(answer.stored()?);
    }
    let alerts = service.alerts();
    let entered = alerts.last().cloned().unwrap_or_default();
    ensure!(
        entered["alert"] == "entered" && entered["cause"] == "unreachable",
        "{alerts:?}"
    );

    scenario.servers()?.start_again(Component::Kafka).await?;
    let back = Instant::now();
    ids.extend(service.send_until_sent("k").await?);
    ensure!(back.elapsed() < SOON, "{:?}", back.elapsed());
    let left = service.alerts().last().cloned().unwrap_or_default();
    let stored = left["stored"].as_u64().unwrap_or_default();
    ensure!(left["alert"] == "left" && stored >= 51, "{left}");

    let last = ids.last().cloned().unwrap_or_default();
    let records = records_until(&scenario, &last).await?;
    let mut arrived: Vec<_> = records
        .iter()
        .map(|record| record.id().to_owned())
        .collect();
    // What was in flight when the broker died may be there twice, each with its id, one right after the other's time.
    let copies = arrived.len() - ids.len();
    let mut seen = std::collections::HashSet::new();
    arrived.retain(|id| seen.insert(id.clone()));
    ensure!(arrived == ids, "lost, or in another order");
    ensure!(
        copies <= 1,
        "{copies} copies, where one event was in flight"
    );
    service.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ways_make_the_same_record() -> Result<()> {
    let scenario = one_topic(Scenario::shared().await?);
    let headers = r#"{"zz": "1", "a": "안녕", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                      "tracestate": "v=1", "": "empty name"}"#;
    let mut service = Prepared::new(&scenario)?.with("HEADERS", headers).start()?;
    let payload = r#"{"b" : 1.50,  "a":[ ],"b":"é\u0041\u0000"}  "#;
    // Nobody has shown yet that the outbox is empty.
    let stored = service.send_payload("key-ü", payload).await?.stored()?;
    let _relay = scenario.relay().await?;
    service.send_until_sent("another").await?;
    let sent = service.send_payload("key-ü", payload).await?.sent()?;
    let mut records = records_until(&scenario, &sent).await?;
    records.retain(|record| [stored.as_str(), sent.as_str()].contains(&record.id()));
    let [around, direct] = &mut records[..] else {
        anyhow::bail!("{records:?}");
    };
    ensure!(around.value_text() == Some(payload), "{around:?}");
    ensure!(around.headers.len() == 6, "{around:?}");
    for record in [&mut *around, &mut *direct] {
        ensure!(
            record.headers.remove(0).0 == "id",
            "the first header is the id"
        );
        record.timestamp_ms = None;
    }
    ensure!(around == direct, "{around:?} is not {direct:?}");
    service.close().await
}

/// The broker gets the same records once more when it comes to: the answer to the first time was lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_sent_again_is_there_once() -> Result<()> {
    let scenario = one_topic(Scenario::private(&[Component::Kafka]).await?);
    scenario.servers()?.be_patient_with_kafka().await?;
    let _relay = scenario.relay().await?;
    let mut service = Prepared::new(&scenario)?
        .with("KAFKA_PRODUCER", r#"{"request.timeout.ms": "300"}"#)
        .with("DELIVERY_TIMEOUT_MS", "60000")
        .with("BLOCK_TIME_MS", "60000")
        .start()?;
    let mut ids = service.send_until_sent("k").await?;
    scenario.servers()?.freeze(Component::Kafka)?;
    service.ask("k", "1").await?;
    let frozen = Instant::now();
    // Long enough for several attempts.
    until(SOON, "several attempts", async || {
        let elapsed = frozen.elapsed();
        Ok(Look::when(
            elapsed > Duration::from_secs(2),
            format!("{elapsed:?}"),
        ))
    })
    .await?;
    scenario.servers()?.thaw(Component::Kafka)?;
    let answer = service.answer().await?;
    ensure!(
        answer.took > Duration::from_secs(2),
        "answered by a frozen broker: {answer:?}"
    );
    ids.push(answer.sent()?);
    ids.push(service.send("k").await?.sent()?);
    let last = ids.last().cloned().unwrap_or_default();
    let records = records_until(&scenario, &last).await?;
    let arrived: Vec<_> = records
        .iter()
        .map(|record| record.id().to_owned())
        .collect();
    ensure!(arrived == ids, "{} records of {}", arrived.len(), ids.len());
    service.close().await
}

impl Answer {
    /// Its id, if Kafka has it.
    fn sent(self) -> Result<String> {
        ensure!(self.outcome == "sent", "{self:?}");
        Ok(self.id)
    }

    /// Its id, if the outbox has it.
    fn stored(self) -> Result<String> {
        ensure!(self.outcome == "stored", "{self:?}");
        Ok(self.id)
    }
}
