//! What arrives when nothing goes wrong.

use std::time::Duration;

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::stopwatch::Phase;
use cdc_e2e::workload::{Entry, Mix, Transaction};

const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn committed_rows_reach_kafka_in_commit_order_and_rolled_back_ones_never() -> Result<()> {
    let scenario = Scenario::shared().await?;
    let consumer = scenario.consumer()?;
    let _relay = scenario.relay().await?;
    scenario
        .writer()
        .write_mix(Mix::Everything, 5_000, Phase::Calm)
        .await?;
    let verdict = consumer.finish(SOON).await?;
    verdict.require_clean()?;
    ensure!(
        verdict.committed == 5_000 && verdict.rolled_back > 0,
        "{verdict}"
    );
    ensure!(
        verdict.duplicates == 0,
        "nothing failed, so nothing is sent twice:\n{verdict}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_into_the_outbox_gives_the_same_record() -> Result<()> {
    let scenario = Scenario::shared().await?;
    let consumer = scenario.consumer()?;
    let _relay = scenario.relay().await?;
    let mut writer = scenario.writer();
    for entry in Entry::ALL {
        writer
            .write(Transaction::Commit { events: 20 }, entry, Phase::Calm)
            .await?;
        writer
            .write(
                Transaction::Savepoint {
                    events: 10,
                    undone: 5,
                },
                entry,
                Phase::Calm,
            )
            .await?;
        writer
            .write(Transaction::RollBack { events: 5 }, entry, Phase::Calm)
            .await?;
    }
    // The consumer compares id, key, payload and topic with those of the event, byte for byte.
    let verdict = consumer.finish(SOON).await?;
    verdict.require_clean()?;
    ensure!(
        verdict.received == 90 && verdict.rolled_back == 30,
        "{verdict}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sends_what_was_committed_while_no_relay_ran() -> Result<()> {
    let scenario = Scenario::shared().await?;
    scenario
        .writer()
        .write_mix(Mix::Everything, 1_000, Phase::Rough)
        .await?;
    let consumer = scenario.consumer()?;
    let _relay = scenario.relay().await?;
    consumer.finish(SOON).await?.require_clean()
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_transactions_keep_the_order_of_their_commits() -> Result<()> {
    let scenario = Scenario::shared().await?;
    let consumer = scenario.consumer()?;
    let _relay = scenario.relay().await?;
    let mut tasks = tokio::task::JoinSet::new();
    for mut writer in scenario.writers(4, 7) {
        tasks.spawn(async move { writer.write_mix(Mix::Everything, 500, Phase::Rough).await });
    }
    for written in tasks.join_all().await {
        written?;
    }
    consumer.finish(SOON).await?.require_clean()
}
