//! The relay is asked to stop.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::stopwatch::Phase;
use cdc_e2e::workload::{Load, Mix, Pace};

use crate::heavy;

/// The default of `relay.shutdown_deadline`.
const DEADLINE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_confirms_everything_that_was_delivered() -> Result<()> {
    let scenario = Scenario::shared().await?;
    let consumer = scenario.consumer()?;
    let relay = scenario.relay().await?;
    scenario
        .writer()
        .write_mix(Mix::Everything, 1_000, Phase::Rough)
        .await?;
    scenario
        .journal()
        .all_received(Duration::from_secs(30))
        .await?;
    let exit = relay.sigterm(DEADLINE).await?;
    ensure!(
        exit.status.success(),
        "the relay ended with {}",
        exit.status
    );
    ensure!(
        exit.took < Duration::from_secs(5),
        "nothing was left to drain, but it took {:?}",
        exit.took
    );
    let left = scenario.database().changes_left(DEADLINE).await?;
    ensure!(left == 0, "the slot would send {left} events again");
    consumer.finish(DEADLINE).await?.require_clean()
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load_drains_confirms_and_exits_so_that_the_next_start_repeats_nothing()
-> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = Scenario::shared().await?;
    let consumer = scenario.consumer()?;
    let load = Load::start(
        scenario.writers(2, 1),
        Mix::SingleRows,
        Pace(1_000),
        Phase::Rough,
    );
    for _ in 0..3 {
        let relay = scenario.relay().await?;
        scenario
            .journal()
            .flows_again(Instant::now(), Duration::from_secs(20))
            .await?;
        let exit = relay.sigterm(DEADLINE).await?;
        ensure!(
            exit.status.success(),
            "the relay ended with {}",
            exit.status
        );
    }
    load.stop().await?;
    let _relay = scenario.relay().await?;
    let verdict = consumer.finish(Duration::from_secs(30)).await?;
    verdict.require_clean()?;
    ensure!(
        verdict.duplicates == 0,
        "an ordered stop leaves nothing to repeat:\n{verdict}"
    );
    Ok(())
}
