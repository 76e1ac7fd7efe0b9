//! The relay dies.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cdc_e2e::chaos::{self, Fault, Limit, Plan};
use cdc_e2e::progress::Progress;
use cdc_e2e::random;
use cdc_e2e::stopwatch::Phase;
use cdc_e2e::workload::{Load, Mix, Pace};
use cdc_e2e::{Delivery, Scenario};

use crate::heavy;

#[tokio::test(flavor = "multi_thread")]
async fn survives_ten_kill_9_cycles_without_loss_or_disorder_with_at_least_once() -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = Scenario::shared().await?.delivering(Delivery::AtLeastOnce);
    let plan = Plan {
        seed: random::entropy(),
        faults: vec![Fault::KillRelay],
        limit: Limit::Cycles(10),
    };
    let report = chaos::run(&scenario, &plan, &Progress::silent()).await?;
    report.verdict.require_clean()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_over_the_slot_after_kill_9_with_at_least_once() -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = Scenario::shared().await?.delivering(Delivery::AtLeastOnce);
    let consumer = scenario.consumer()?;
    let active = scenario.relay().await?;
    let first = scenario.database().walsender().await?.pid;
    let mut standby = scenario.start_relay()?;
    standby.until_phase("standby").await?;
    let load = Load::start(
        scenario.writers(2, 1),
        Mix::Everything,
        Pace(500),
        Phase::Rough,
    );
    scenario
        .journal()
        .flows_again(Instant::now(), Duration::from_secs(10))
        .await?;
    ensure!(
        scenario.database().walsender().await?.pid == first,
        "the standby took the slot of a living relay"
    );

    let killed = Instant::now();
    active.kill_9().await?;
    scenario
        .journal()
        .flows_again(killed, Duration::from_secs(15))
        .await?;
    ensure!(standby.is_running(), "the standby has ended");
    load.stop().await?;
    consumer
        .finish(Duration::from_secs(30))
        .await?
        .require_clean()
}
