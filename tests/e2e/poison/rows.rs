//! A row that was there before the slot is refused.

use anyhow::{Context, Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::wait::{Look, until};

use super::{DELIVERIES, create_topic, parked, parking};
use crate::heavy;
use crate::outlet::{SOON, one_topic};

/// Rows of a table without a slot; the tenth is more than the topic takes.
async fn write_rows(scenario: &Scenario, rows: u32) -> Result<()> {
    let session = scenario.database().session().await?;
    let insert = format!(
        "INSERT INTO cdc.outbox (aggregatetype, aggregateid, type, payload)
         SELECT 'order', n::text, 'T', CASE WHEN n = 10 THEN to_jsonb(large) ELSE '{{}}'::jsonb END
         FROM generate_series(1, {rows}) n,
              (SELECT string_agg(md5(i::text), '') AS large FROM generate_series(1, 2000) i) one"
    );
    session.batch_execute(&insert).await?;
    let name = scenario.database().name();
    let drop_slot = format!(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{name}'"
    );
    Ok(session.batch_execute(&drop_slot).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_go_in_batches_again_once_they_are_past_what_was_refused() -> Result<()> {
    let _turn = heavy::turn().await;
    for delivery in DELIVERIES {
        // Little is under way when the row is refused, in batches that the topic takes.
        let scenario = one_topic(parking(delivery).await?)
            .with("CDC_RELAY__SNAPSHOT", "initial")
            .with("CDC_RELAY__MAX_IN_FLIGHT", "64KiB")
            .with("CDC_RELAY__TRANSACTION_MAX_RECORDS", "200")
            .with("CDC_KAFKA__PRODUCER__BATCH_SIZE", "10000");
        let topic = format!("{}.events", scenario.database().name());
        create_topic(&scenario, &topic, "20000").await?;
        write_rows(&scenario, 20_000).await?;
        let _relay = scenario.start_relay()?;
        until(SOON, "the end of the table", async || {
            let read = scenario.log().contains("tables are read");
            Ok(Look::when(read, "reading"))
        })
        .await
        .context(delivery)?;
        let log = scenario.log().tail(usize::MAX);
        let rest = log.split_once("parked an event").map(|(_, rest)| rest);
        let (between, _) = rest
            .and_then(|rest| rest.split_once("tables are read"))
            .context("parked nothing")?;
        // After a transaction that was given up Kafka may want a new producer, whose session is not careful.
        let in_batches = ["sending in batches again", "session lost"];
        ensure!(
            in_batches.iter().any(|line| between.contains(line)),
            "{delivery}: one by one to the end"
        );
        let parked = parked(&scenario).await?;
        ensure!(parked.len() == 1, "{delivery}: {parked:?}");
    }
    Ok(())
}
