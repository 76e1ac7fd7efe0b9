//! Slots that do not continue where the relay stopped, each provoked for real.

mod history;
mod lost;
mod replay;
mod slot;

use anyhow::{Context, Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::services::{Component, Services};

use crate::outlet::{SOON, emit, id, ids_until, one_topic, refused};

/// The guarantees.
const DELIVERIES: [&str; 2] = ["exactly_once", "at_least_once"];

/// A scenario with one topic, on shared servers.
async fn scenario(delivery: &str) -> Result<Scenario> {
    Ok(prepared(Scenario::shared().await?, delivery))
}

/// Like [`scenario`], with a PostgreSQL of its own.
async fn with_own_postgres(delivery: &str) -> Result<Scenario> {
    let scenario = Scenario::on(Services::private(&[Component::Postgres]).await?).await?;
    Ok(prepared(scenario, delivery))
}

fn prepared(scenario: Scenario, delivery: &str) -> Scenario {
    one_topic(scenario).with("CDC_RELAY__DELIVERY", delivery)
}

/// Writes the events and waits until the last of them is in Kafka; the relay then stops in order.
async fn relayed(scenario: &Scenario, numbers: impl IntoIterator<Item = u32>) -> Result<()> {
    let relay = scenario.relay().await?;
    let numbers: Vec<_> = numbers.into_iter().collect();
    written(scenario, numbers.iter().copied()).await?;
    let last = numbers.last().context("no events")?;
    ids_until(scenario, &id(*last)).await?;
    let exit = relay.sigterm(SOON).await?;
    ensure!(
        exit.status.success(),
        "the relay ended with {}",
        exit.status
    );
    Ok(())
}

/// Writes the events, each in a transaction of its own.
async fn written(scenario: &Scenario, numbers: impl IntoIterator<Item = u32>) -> Result<()> {
    let session = scenario.database().session().await?;
    for n in numbers {
        session.batch_execute(&emit(n)).await?;
    }
    Ok(())
}

/// Starts a relay with `on_gap = "fail"`; its report must say from where, to where and since when.
async fn fails(scenario: &Scenario, code: &str) -> Result<String> {
    let report = refused(scenario, scenario.start_relay()?, code).await?;
    let positions = positions_in(&report);
    ensure!(
        positions.len() >= 2,
        "not two different positions: {report}"
    );
    ensure!(
        report.contains("committed at 20"),
        "no time of the newest event: {report}"
    );
    Ok(report)
}

/// The different LSNs in the first line of a report.
fn positions_in(report: &str) -> Vec<&str> {
    let line = report.lines().find(|line| line.contains("error[CDC"));
    let words = line
        .unwrap_or_default()
        .split(|c: char| !c.is_ascii_hexdigit() && c != '/');
    let mut positions: Vec<_> = words
        .filter(|word| {
            let parts = word.split_once('/');
            parts.is_some_and(|(high, low)| !high.is_empty() && !low.is_empty())
        })
        .collect();
    positions.sort_unstable();
    positions.dedup();
    positions
}

/// Goes on with `policy`, writes a last event and gives what is in Kafka by then.
async fn goes_on(scenario: Scenario, policy: &str, last: u32) -> Result<(Scenario, Vec<String>)> {
    let scenario = scenario.with("CDC_RELAY__ON_GAP", policy);
    let relay = scenario.relay().await?;
    written(&scenario, [last]).await?;
    let found = ids_until(&scenario, &id(last)).await?;
    let exit = relay.sigterm(SOON).await?;
    ensure!(
        exit.status.success(),
        "the relay ended with {}",
        exit.status
    );
    Ok((scenario.with("CDC_RELAY__ON_GAP", "fail"), found))
}

/// Fails unless Kafka has each row of the outbox, and nothing twice.
async fn has_each_row_once(scenario: &Scenario, mut found: Vec<String>) -> Result<()> {
    let session = scenario.database().session().await?;
    let rows = session
        .query("SELECT id::text FROM cdc.outbox ORDER BY 1", &[])
        .await?;
    let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    found.sort_unstable();
    let records = found.len();
    found.dedup();
    ensure!(
        records == found.len(),
        "{} of {records} records come a second time",
        records - found.len()
    );
    let lost: Vec<_> = rows
        .iter()
        .filter(|row| found.binary_search(row).is_err())
        .take(10)
        .collect();
    ensure!(lost.is_empty(), "not in Kafka, among others: {lost:?}");
    ensure!(rows.len() == found.len(), "more records than rows");
    Ok(())
}
