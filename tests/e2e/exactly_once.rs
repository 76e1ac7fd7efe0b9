//! Every event once, whatever dies: nothing lost, nothing twice, nothing out of order for a consumer of committed records.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cdc_e2e::chaos::{self, Fault, Limit, Plan};
use cdc_e2e::progress::Progress;
use cdc_e2e::random;
use cdc_e2e::services::Component;
use cdc_e2e::stopwatch::Phase;
use cdc_e2e::wait::{Look, until};
use cdc_e2e::workload::{Entry, Load, Mix, Pace, Transaction};
use cdc_e2e::{Delivery, Scenario};

use crate::heavy;

const SOON: Duration = Duration::from_secs(90);

/// Longer than the transaction timeout of the relay's producers, 15 s.
const TRANSACTION_TIMED_OUT: Duration = Duration::from_secs(20);

/// Enough rows that the relay is in the middle of them for a while.
const LARGE: u32 = 200_000;

async fn through(components: &[Component], faults: Vec<Fault>, limit: Limit) -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = Scenario::with_own(components).await?;
    let scenario = scenario.delivering(Delivery::ExactlyOnce);
    let seed = random::entropy();
    let plan = Plan {
        seed,
        faults,
        limit,
    };
    let report = chaos::run(&scenario, &plan, &Progress::silent()).await?;
    report.verdict.require_clean()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_seen_once_through_15_kills_of_the_relay() -> Result<()> {
    through(&[], vec![Fault::KillRelay], Limit::Cycles(15)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_seen_once_through_kills_of_the_broker() -> Result<()> {
    let faults = vec![Fault::KillKafka, Fault::KillRelay, Fault::KillKafka];
    through(&[Component::Kafka], faults, Limit::EachOnce).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_seen_once_through_kills_of_postgres() -> Result<()> {
    let faults = vec![Fault::KillPostgres, Fault::KillRelay, Fault::KillPostgres];
    through(&[Component::Postgres], faults, Limit::EachOnce).await
}

/// The broker then ends the relay's transaction, and whatever the relay still does in it must come to nothing.
#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_seen_once_after_a_broker_that_was_frozen_for_longer_than_a_transaction_may_last()
-> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = Scenario::private(&[Component::Kafka]).await?;
    scenario.servers()?.be_patient_with_kafka().await?;
    let scenario = scenario.delivering(Delivery::ExactlyOnce);
    let consumer = scenario.consumer()?;
    let mut relay = scenario.relay().await?;
    let load = Load::start(
        scenario.writers(2, random::entropy()),
        Mix::Everything,
        Pace(500),
        Phase::Rough,
    );
    let journal = scenario.journal();
    journal.flows_again(Instant::now(), SOON).await?;

    scenario.servers()?.freeze(Component::Kafka)?;
    let frozen = Instant::now();
    until(SOON, "the timeout to pass", async || {
        let passed = frozen.elapsed() > TRANSACTION_TIMED_OUT;
        Ok(Look::when(passed, "still within"))
    })
    .await?;
    scenario.servers()?.thaw(Component::Kafka)?;
    let flows = journal.flows_again(Instant::now(), SOON).await;
    ensure!(relay.is_running(), "the relay has ended");
    flows?;
    load.stop().await?;
    consumer.finish(SOON).await?.require_clean()
}

/// Waits until the consumer has `count` events, and says how many it has.
async fn received(scenario: &Scenario, count: u32) -> Result<u64> {
    until(SOON, "a part of the large transaction", async || {
        let received = scenario.journal().counts().received;
        Ok(if received >= u64::from(count) {
            Look::Ready(received)
        } else {
            Look::NotYet(received.to_string())
        })
    })
    .await
}

/// A scenario with a transaction that goes to Kafka in many.
async fn with_large_transaction() -> Result<Scenario> {
    let scenario = Scenario::shared()
        .await?
        .delivering(Delivery::ExactlyOnce)
        .with("CDC_RELAY__TRANSACTION_MAX_RECORDS", "10000");
    let mut writer = scenario.writer();
    let bulk = Transaction::Bulk { events: LARGE };
    writer.write(bulk, Entry::Insert, Phase::Rough).await?;
    writer.write_mix(Mix::SingleRows, 10, Phase::Rough).await?;
    Ok(scenario)
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kills_in_the_middle_of_a_large_transaction_its_rest_comes_once() -> Result<()> {
    const KILLS: u32 = 3;
    let _turn = heavy::turn().await;
    let scenario = with_large_transaction().await?;
    let consumer = scenario.consumer()?;
    for kill in 1..=KILLS {
        let relay = scenario.start_relay()?;
        let received = received(&scenario, kill * LARGE / (KILLS + 2)).await?;
        relay.kill_9().await?;
        ensure!(
            received < u64::from(LARGE),
            "kill {kill} was not in the middle"
        );
    }
    // The server sends all of it again, and nothing of it is confirmed.
    let left = scenario.database().changes_left(SOON).await?;
    ensure!(left >= i64::from(LARGE), "the slot would send {left} only");
    let _relay = scenario.relay().await?;
    let verdict = consumer.finish(SOON).await?;
    ensure!(verdict.received == u64::from(LARGE) + 10, "{verdict}");
    verdict.require_clean()
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_in_the_middle_of_a_large_transaction_leaves_nothing_to_repeat() -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = with_large_transaction().await?;
    let consumer = scenario.consumer()?;
    let relay = scenario.start_relay()?;
    let received = received(&scenario, LARGE / 10).await?;
    let exit = relay.sigterm(SOON).await?;
    ensure!(
        exit.status.success(),
        "the relay ended with {}",
        exit.status
    );
    ensure!(
        received < u64::from(LARGE),
        "the stop was not in the middle"
    );
    let _relay = scenario.relay().await?;
    consumer.finish(SOON).await?.require_clean()
}
