//! PostgreSQL restarts, dies, or stops to answer.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::chaos::{self, Fault, Limit, Plan};
use cdc_e2e::progress::Progress;
use cdc_e2e::proxy::Proxy;
use cdc_e2e::random;
use cdc_e2e::services::Component;
use cdc_e2e::stopwatch::Phase;
use cdc_e2e::wait::{Look, until};
use cdc_e2e::workload::{Load, Mix, Pace};

use crate::heavy;

#[tokio::test(flavor = "multi_thread")]
async fn survives_restarts_and_kills_of_postgres_under_load() -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = Scenario::private(&[Component::Postgres]).await?;
    let faults = vec![
        Fault::RestartPostgres,
        Fault::StopPostgresImmediately,
        Fault::KillPostgres,
    ];
    let plan = Plan {
        seed: random::entropy(),
        faults,
        limit: Limit::EachOnce,
    };
    let report = chaos::run(&scenario, &plan, &Progress::silent()).await?;
    report.verdict.require_clean()
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_a_frozen_connection_and_connects_again() -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = Scenario::shared()
        .await?
        .with("CDC_RELAY__WIRE_TIMEOUT", "3s");
    let proxy = Proxy::in_front_of(scenario.database().url().address()).await?;
    let scenario = scenario.through(&proxy);
    let consumer = scenario.consumer()?;
    let relay = scenario.relay().await?;
    let load = Load::start(
        scenario.writers(1, 1),
        Mix::Everything,
        Pace(200),
        Phase::Rough,
    );
    scenario
        .journal()
        .flows_again(Instant::now(), Duration::from_secs(10))
        .await?;
    ensure!(
        relay.admin().is_ready().await?,
        "a streaming relay says that it is not ready"
    );

    proxy.set(|behaviour| behaviour.frozen = true);
    until(Duration::from_secs(10), "/readyz to fail", async || {
        Ok(Look::when(!relay.admin().is_ready().await?, "ready"))
    })
    .await?;

    proxy.set(|behaviour| behaviour.frozen = false);
    scenario
        .journal()
        .flows_again(Instant::now(), Duration::from_secs(30))
        .await?;
    ensure!(
        relay.admin().is_ready().await?,
        "events flow, but the relay says that it is not ready"
    );
    ensure!(
        relay.admin().is_healthy().await?,
        "events flow, but the relay says that it is not healthy"
    );
    load.stop().await?;
    consumer
        .finish(Duration::from_secs(30))
        .await?
        .require_clean()
}

/// Neither side is told when a router forgets a connection. The server believes in it for a minute.
#[tokio::test(flavor = "multi_thread")]
async fn takes_the_slot_back_from_its_own_connection_that_only_the_server_believes_in() -> Result<()>
{
    let _turn = heavy::turn().await;
    let scenario = Scenario::shared().await?;
    let proxy = Proxy::in_front_of(scenario.database().url().address()).await?;
    let scenario = scenario.through(&proxy);
    let consumer = scenario.consumer()?;
    let _relay = scenario.relay().await?;
    let load = Load::start(
        scenario.writers(1, 1),
        Mix::Everything,
        Pace(200),
        Phase::Rough,
    );
    let journal = scenario.journal();
    let soon = Duration::from_secs(10);
    journal.flows_again(Instant::now(), soon).await?;
    let before = scenario.database().slot().await?.walsender;
    proxy.cut_unnoticed_by_the_server();
    journal.flows_again(Instant::now(), soon).await?;
    let after = scenario.database().slot().await?.walsender;
    ensure!(before != after, "the connection was not cut: {before:?}");
    load.stop().await?;
    consumer
        .finish(Duration::from_secs(30))
        .await?
        .require_clean()
}

#[tokio::test(flavor = "multi_thread")]
async fn reconnects_when_its_connections_are_cut() -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = Scenario::shared().await?;
    let proxy = Proxy::in_front_of(scenario.database().url().address()).await?;
    let scenario = scenario.through(&proxy);
    let consumer = scenario.consumer()?;
    let mut relay = scenario.relay().await?;
    let load = Load::start(
        scenario.writers(2, 1),
        Mix::Everything,
        Pace(500),
        Phase::Rough,
    );
    for _ in 0..3 {
        scenario
            .journal()
            .flows_again(Instant::now(), Duration::from_secs(20))
            .await?;
        proxy.cut();
    }
    scenario
        .journal()
        .flows_again(Instant::now(), Duration::from_secs(20))
        .await?;
    ensure!(relay.is_running(), "the relay has ended");
    load.stop().await?;
    consumer
        .finish(Duration::from_secs(30))
        .await?
        .require_clean()
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_a_stream_that_comes_one_byte_at_a_time() -> Result<()> {
    let scenario = Scenario::shared().await?;
    let proxy = Proxy::in_front_of(scenario.database().url().address()).await?;
    proxy.set(|behaviour| behaviour.piece = std::num::NonZeroUsize::MIN);
    let scenario = scenario.through(&proxy);
    let consumer = scenario.consumer()?;
    let _relay = scenario.relay().await?;
    scenario
        .writer()
        .write_mix(Mix::Everything, 300, Phase::Rough)
        .await?;
    let verdict = consumer.finish(Duration::from_secs(60)).await?;
    ensure!(
        verdict.duplicates == 0,
        "the connection was lost:\n{verdict}"
    );
    verdict.require_clean()
}
