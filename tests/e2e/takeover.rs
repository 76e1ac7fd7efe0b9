//! A standby takes the slot over.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cdc_e2e::process::Signal;
use cdc_e2e::random;
use cdc_e2e::relay::Relay;
use cdc_e2e::stopwatch::Phase;
use cdc_e2e::workload::{Load, Mix, Pace};
use cdc_e2e::{Delivery, Scenario};

use crate::heavy;

const SOON: Duration = Duration::from_secs(60);

/// What is promised for a takeover.
const TAKEOVER: Duration = Duration::from_secs(5);

/// An active relay, one that stands by, and a load.
async fn pair(scenario: &Scenario, pace: Pace) -> Result<(Relay, Relay, Load)> {
    let active = scenario.relay().await?;
    let mut standby = scenario.start_relay()?;
    standby.until_phase("standby").await?;
    let writers = scenario.writers(2, random::entropy());
    let load = Load::start(writers, Mix::Everything, pace, Phase::Rough);
    let journal = scenario.journal();
    journal.flows_again(Instant::now(), SOON).await?;
    Ok((active, standby, load))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_over_within_5_s_of_kill_9_and_repeats_nothing() -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = Scenario::shared()
        .await?
        .delivering(Delivery::ExactlyOnce)
        // The kill then hits an open transaction, on whose end the readers of committed records wait.
        .with("CDC_RELAY__TRANSACTION_INTERVAL", "500ms");
    let consumer = scenario.consumer()?;
    let (active, mut standby, load) = pair(&scenario, Pace(500)).await?;
    let killed = Instant::now();
    active.kill_9().await?;
    scenario.journal().flows_again(killed, TAKEOVER).await?;
    ensure!(standby.is_running(), "the standby has ended");
    load.stop().await?;
    consumer.finish(SOON).await?.require_clean()
}

/// What it had read but not sent, it sends when it wakes up, unless Kafka refuses that.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_was_frozen_while_another_took_over_is_fenced_when_it_wakes() -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = Scenario::shared()
        .await?
        .delivering(Delivery::ExactlyOnce)
        .with("CDC_RELAY__WIRE_TIMEOUT", "3s");
    let database = scenario.database();
    let consumer = scenario.consumer()?;
    let (mut active, mut standby, load) = pair(&scenario, Pace(1_000)).await?;
    for _ in 0..3 {
        let pid = active.pid();
        pid.send(Signal::Stop)?;
        let frozen = Instant::now();
        standby.until_phase("streaming").await?;
        scenario.journal().flows_again(frozen, SOON).await?;
        let walsender = database.slot().await?.walsender;
        pid.send(Signal::Continue)?;
        active.until_phase("standby").await?;
        scenario.journal().flows_again(Instant::now(), SOON).await?;
        ensure!(
            database.slot().await?.walsender == walsender,
            "the one that woke up took the slot back"
        );
        std::mem::swap(&mut active, &mut standby);
    }
    load.stop().await?;
    consumer.finish(SOON).await?.require_clean()
}

/// The two are a pair of equals: whoever is asked to stop hands over at once.
#[tokio::test(flavor = "multi_thread")]
async fn an_ordered_stop_hands_over_without_a_repetition_in_either_mode() -> Result<()> {
    let _turn = heavy::turn().await;
    for delivery in Delivery::ALL {
        let scenario = Scenario::shared().await?.delivering(delivery);
        let consumer = scenario.consumer()?;
        let (active, _standby, load) = pair(&scenario, Pace(500)).await?;
        let exit = active.sigterm(SOON).await?;
        let stopped = Instant::now();
        ensure!(
            exit.status.success(),
            "the relay ended with {}",
            exit.status
        );
        scenario.journal().flows_again(stopped, TAKEOVER).await?;
        load.stop().await?;
        let verdict = consumer.finish(SOON).await?;
        ensure!(verdict.duplicates == 0, "{delivery}:\n{verdict}");
        verdict
            .require_clean()
            .with_context(|| delivery.to_string())?;
    }
    Ok(())
}
