//! Nothing happens in the outbox.

use std::time::Duration;

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::stopwatch::Phase;
use cdc_e2e::workload::Mix;

/// Long, since the server lets go only when the long transactions of other tests have ended.
const LATER: Duration = Duration::from_secs(120);

/// Without this PostgreSQL would keep the log of the whole server for an outbox that is rarely used.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_outbox_lets_go_of_the_log_that_a_busy_table_writes() -> Result<()> {
    let scenario = Scenario::shared().await?;
    let _relay = scenario.relay().await?;
    let database = scenario.database();
    let before = database.slot().await?;
    let busy = database.write_elsewhere(5_000).await?;
    ensure!(busy > before.confirmed, "the busy table wrote nothing");
    database.confirmed_past(busy, LATER).await?;
    database.restart_past(busy, LATER).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_outbox_that_was_busy_before_moves_too() -> Result<()> {
    let scenario = Scenario::shared().await?;
    let consumer = scenario.consumer()?;
    let _relay = scenario.relay().await?;
    scenario
        .writer()
        .write_mix(Mix::Everything, 100, Phase::Rough)
        .await?;
    consumer
        .finish(Duration::from_secs(30))
        .await?
        .require_clean()?;
    let busy = scenario.database().write_elsewhere(1_000).await?;
    scenario.database().confirmed_past(busy, LATER).await
}

/// A wait whose deadline has passed, or a poll without a pause, would take a whole core.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_relay_leaves_the_processor_alone() -> Result<()> {
    /// Longer than the time between two status updates without news.
    const WATCHED: Duration = Duration::from_secs(12);
    let scenario = Scenario::shared().await?;
    let consumer = scenario.consumer()?;
    let relay = scenario.relay().await?;
    scenario
        .writer()
        .write_mix(Mix::Everything, 10, Phase::Rough)
        .await?;
    consumer
        .finish(Duration::from_secs(30))
        .await?
        .require_clean()?;
    let before = relay.pid().cpu_time()?;
    tokio::time::sleep(WATCHED).await;
    let used = relay.pid().cpu_time()? - before;
    // The other tests' log wakes it too; alone it takes a fifth of this.
    ensure!(
        used < WATCHED / 20,
        "used {used:?} of processor time in {WATCHED:?} of idleness"
    );
    Ok(())
}
