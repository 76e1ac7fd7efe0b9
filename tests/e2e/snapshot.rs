//! `snapshot = "initial"`: the rows that were there before the slot.

use anyhow::{Context, Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::services::Component;
use cdc_e2e::wait::{Look, until};

use crate::heavy;
use crate::outlet::{SOON, emit, id, ids, ids_until, one_topic, refused};

/// A scenario without a slot: the relay is to make it.
async fn without_slot(delivery: &str, snapshot: &str) -> Result<Scenario> {
    let scenario = one_topic(Scenario::shared().await?)
        .with("CDC_RELAY__DELIVERY", delivery)
        .with("CDC_RELAY__SNAPSHOT", snapshot);
    drop_slot(&scenario).await?;
    Ok(scenario)
}

async fn drop_slot(scenario: &Scenario) -> Result<()> {
    let name = scenario.database().name();
    let act = format!(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{name}'"
    );
    Ok(scenario
        .database()
        .session()
        .await?
        .batch_execute(&act)
        .await?)
}

/// Rows whose key is their number, in one transaction.
async fn insert(scenario: &Scenario, rows: u32) -> Result<()> {
    let insert = format!(
        "INSERT INTO cdc.outbox (aggregatetype, aggregateid, type, payload)
         SELECT 'order', n::text, 'T', '{{}}' FROM generate_series(1, {rows}) n"
    );
    Ok(scenario
        .database()
        .session()
        .await?
        .batch_execute(&insert)
        .await?)
}

async fn write(scenario: &Scenario, n: u32) -> Result<()> {
    let session = scenario.database().session().await?;
    Ok(session.batch_execute(&emit(n)).await?)
}

/// Each row of the table is in Kafka, and nothing twice.
async fn has_each_row_once(scenario: &Scenario, mut found: Vec<String>) -> Result<()> {
    let session = scenario.database().session().await?;
    let rows = session
        .query(
            "SELECT id::text FROM cdc.outbox ORDER BY id::text COLLATE \"C\"",
            &[],
        )
        .await?;
    let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    found.sort_unstable();
    let records = found.len();
    found.dedup();
    ensure!(
        records == found.len(),
        "{} records are duplicates",
        records - found.len()
    );
    ensure!(
        rows == found,
        "{} rows, {} records",
        rows.len(),
        found.len()
    );
    Ok(())
}

async fn until_the_table_is_read(scenario: &Scenario) -> Result<()> {
    until(SOON, "the end of the table", async || {
        Ok(Look::when(
            scenario.log().contains("tables are read"),
            "reading",
        ))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn sends_the_rows_that_were_there_and_those_that_are_written_meanwhile_once() -> Result<()> {
    let _turn = heavy::turn().await;
    for delivery in ["exactly_once", "at_least_once"] {
        let scenario = without_slot(delivery, "initial").await?;
        insert(&scenario, 20_000).await?;
        let relay = scenario.start_relay()?;
        let session = scenario.database().session().await?;
        let mut last = 0;
        while !scenario.log().contains("tables are read") {
            last += 1;
            session.batch_execute(&emit(last)).await?;
            ensure!(last < 100_000, "it never ends");
        }
        write(&scenario, 999_999).await?;
        let found = ids_until(&scenario, &id(999_999)).await?;
        has_each_row_once(&scenario, found)
            .await
            .context(delivery)?;
        relay.sigterm(SOON).await?;
        // Done for good.
        let _relay = scenario.relay().await?;
        write(&scenario, 999_998).await?;
        let found = ids_until(&scenario, &id(999_998)).await?;
        has_each_row_once(&scenario, found)
            .await
            .context(delivery)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_killed_goes_on_where_it_was() -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = without_slot("exactly_once", "initial")
        .await?
        .with("CDC_RELAY__TRANSACTION_MAX_RECORDS", "70");
    insert(&scenario, 20_000).await?;
    // Before it has made the slot, right after, and while it reads.
    let begun = scenario.start_relay()?;
    until(SOON, "a slot", async || {
        scenario.database().slot().await?;
        Ok(Look::Ready(()))
    })
    .await?;
    begun.kill_9().await?;
    for (n, events) in (1..).zip([1_u32, 1500, 4000]) {
        let relay = scenario.relay().await?;
        until(SOON, "events of the table", async || {
            let sent = relay.admin().metric("cdc_relay_events_total").await?;
            Ok(Look::when(sent >= f64::from(events), sent))
        })
        .await?;
        write(&scenario, n).await?;
        relay.kill_9().await?;
        ensure!(
            !scenario.log().contains("tables are read"),
            "it was killed too late to show anything"
        );
    }
    let relay = scenario.relay().await?;
    until_the_table_is_read(&scenario).await?;
    relay.kill_9().await?;
    let _relay = scenario.relay().await?;
    write(&scenario, 9).await?;
    let found = ids_until(&scenario, &id(9)).await?;
    has_each_row_once(&scenario, found).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_stopped_in_order_goes_on_where_it_was() -> Result<()> {
    let _turn = heavy::turn().await;
    for delivery in ["exactly_once", "at_least_once"] {
        let scenario = without_slot(delivery, "initial")
            .await?
            .with("CDC_RELAY__TRANSACTION_MAX_RECORDS", "70");
        insert(&scenario, 10_000).await?;
        for events in [100_u32, 2000] {
            let relay = scenario.relay().await?;
            until(SOON, "events of the table", async || {
                let sent = relay.admin().metric("cdc_relay_events_total").await?;
                let done = scenario.log().contains("tables are read");
                Ok(Look::when(done || sent >= f64::from(events), sent))
            })
            .await?;
            let exit = relay.sigterm(SOON).await?;
            ensure!(exit.status.success(), "it ended with {}", exit.status);
        }
        let _relay = scenario.relay().await?;
        write(&scenario, 9).await?;
        let found = ids_until(&scenario, &id(9)).await?;
        has_each_row_once(&scenario, found)
            .await
            .context(delivery)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_an_empty_table_is_none() -> Result<()> {
    let scenario = without_slot("exactly_once", "initial").await?;
    let relay = scenario.relay().await?;
    write(&scenario, 1).await?;
    ensure!(ids_until(&scenario, &id(1)).await? == ids([1]));
    relay.sigterm(SOON).await?;
    let _relay = scenario.relay().await?;
    write(&scenario, 2).await?;
    ensure!(ids_until(&scenario, &id(2)).await? == ids([1, 2]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_snapshot_rows_that_were_there_are_not_sent() -> Result<()> {
    let scenario = without_slot("exactly_once", "never").await?;
    write(&scenario, 1).await?;
    refused(&scenario, scenario.start_relay()?, "CDC0023").await?;
    scenario.init().await?;
    let _relay = scenario.relay().await?;
    write(&scenario, 2).await?;
    ensure!(ids_until(&scenario, &id(2)).await? == ids([2]));
    Ok(())
}

/// A slot that is there has everything from its position on: nothing is read twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_is_there_is_not_preceded_by_a_snapshot() -> Result<()> {
    let scenario = without_slot("exactly_once", "initial").await?;
    write(&scenario, 1).await?;
    let name = scenario.database().name();
    let make = format!("SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')");
    let session = scenario.database().session().await?;
    session.batch_execute(&make).await?;
    session.batch_execute(&emit(2)).await?;
    let _relay = scenario.relay().await?;
    ensure!(ids_until(&scenario, &id(2)).await? == ids([2]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_relays_that_wait_for_kafka_at_their_first_start_one_stands_by() -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = one_topic(Scenario::private(&[Component::Kafka]).await?)
        .with("CDC_RELAY__DELIVERY", "exactly_once")
        .with("CDC_RELAY__SNAPSHOT", "initial");
    drop_slot(&scenario).await?;
    insert(&scenario, 10).await?;
    let kafka = scenario.servers()?;
    kafka.stop(Component::Kafka).await?;
    let mut relays = [scenario.start_relay()?, scenario.start_relay()?];
    // They look for the slot before they look for Kafka.
    until(SOON, "both to wait for Kafka", async || {
        let log = scenario.log().tail(usize::MAX);
        let waiting = log.matches("waiting for Kafka").count();
        Ok(Look::when(waiting == relays.len(), waiting))
    })
    .await?;
    kafka.start_again(Component::Kafka).await?;
    until(SOON, "one to stream and one to stand by", async || {
        let mut phases = Vec::new();
        for relay in &mut relays {
            ensure!(relay.is_running(), "a relay has ended");
            let status = relay.admin().status().await?;
            phases.push(status["phase"].to_string());
        }
        phases.sort();
        let as_wanted = phases == ["\"standby\"", "\"streaming\""];
        Ok(Look::when(as_wanted, format!("{phases:?}")))
    })
    .await?;
    write(&scenario, 11).await?;
    let found = ids_until(&scenario, &id(11)).await?;
    has_each_row_once(&scenario, found).await
}
