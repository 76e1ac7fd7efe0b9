//! A transaction of a million rows costs no more memory than one of ten.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::process::Kibibytes;
use cdc_e2e::stopwatch::Phase;
use cdc_e2e::workload::{Entry, Mix, Transaction};

use crate::heavy;

/// How many rows, if the machine is too slow for the default.
const ROWS: &str = "E2E_LARGE_TRANSACTION_ROWS";

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_of_a_million_rows_passes_with_bounded_memory() -> Result<()> {
    let _turn = heavy::turn().await;
    let events = std::env::var(ROWS)
        .map_or(Ok(1_000_000), |rows| rows.parse())
        .context(ROWS)?;
    let scenario = Scenario::shared().await?;
    let consumer = scenario.consumer()?;
    let relay = scenario.relay().await?;
    let mut writer = scenario.writer();
    writer
        .write(Transaction::Bulk { events }, Entry::Insert, Phase::Rough)
        .await?;
    writer.write_mix(Mix::SingleRows, 10, Phase::Rough).await?;
    let verdict = consumer.finish(Duration::from_secs(180)).await?;
    verdict.require_clean()?;
    ensure!(
        verdict.duplicates == 0,
        "the relay lost its connection:\n{verdict}"
    );
    let exit = relay.sigterm(Duration::from_secs(30)).await?;
    // Alone it stays below 60 MiB; beside other tests, which starve its threads, 61.6 were seen.
    ensure!(
        exit.peak < Kibibytes::from_mebibytes(68),
        "memory grew to {}",
        exit.peak
    );
    Ok(())
}
