//! The versions of PostgreSQL that are supported: what matters most on each of them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::relay::{self, RelayOptions};
use cdc_e2e::services::{Cluster, Services, Version};
use cdc_e2e::stopwatch::Phase;
use cdc_e2e::workload::{Load, Mix, Pace};

use crate::heavy;
use crate::outlet::{emit, id, ids_until, one_topic, refused};

const SOON: Duration = Duration::from_secs(40);

/// A fast shutdown that waits for a replication client takes until `wal_sender_timeout`, a minute, or for ever.
const FAST: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn relays_from_the_installed_version() -> Result<()> {
    relays_from(Version::Shared).await
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_from_postgres_17() -> Result<()> {
    relays_from(Version::Major(17)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_from_postgres_18() -> Result<()> {
    relays_from(Version::Major(18)).await
}

/// Every kind of event arrives, through a kill of the relay and fast shutdowns of the server, which wait for nobody.
async fn relays_from(version: Version) -> Result<()> {
    if version.is_skipped() {
        return Ok(());
    }
    let _turn = heavy::turn().await;
    let cluster = Cluster::create(version)?;
    cluster.start()?;
    let scenario = Scenario::on(Services::with_postgres(&cluster)?)
        .await?
        .showing_log();
    is_of(version, &scenario).await?;
    let name = scenario.database().name();
    let url = scenario.database().url().to_string();
    relay::run(
        &RelayOptions::new(&url, scenario.kafka_brokers(), name),
        "doctor",
    )
    .await?;

    let consumer = scenario.consumer()?;
    let relay = scenario.relay().await?;
    let load = Load::start(
        scenario.writers(2, 1),
        Mix::Everything,
        Pace(500),
        Phase::Rough,
    );
    let flows = async |since| scenario.journal().flows_again(since, SOON).await;
    flows(Instant::now()).await.context("at first")?;
    let killed = Instant::now();
    relay.kill_9().await?;
    let mut relay = scenario.relay().await?;
    flows(killed).await.context("after a kill of the relay")?;
    let connected = scenario.database().walsender().await;
    connected.context("with a busy relay")?;
    cluster.stop_fast(FAST).context("with a busy relay")?;
    let stopped = Instant::now();
    cluster.start()?;
    flows(stopped)
        .await
        .context("after a shutdown of PostgreSQL")?;
    load.stop().await?;
    consumer.finish(SOON).await?.require_clean()?;

    let connected = scenario.database().walsender().await;
    connected.context("with an idle relay")?;
    cluster.stop_fast(FAST).context("with an idle relay")?;
    ensure!(relay.is_running(), "the relay has ended");
    cluster.start()?;
    relay.until_phase("streaming").await?;
    Ok(())
}

/// Older versions refuse; 18 only warns, and the rows would be lost without a trace.
#[tokio::test(flavor = "multi_thread")]
async fn stops_where_postgres_18_would_leave_out_the_rows_of_a_dropped_publication() -> Result<()> {
    let version = Version::Major(18);
    if version.is_skipped() {
        return Ok(());
    }
    let cluster = Cluster::create(version)?;
    cluster.start()?;
    let scenario = Scenario::on(Services::with_postgres(&cluster)?).await?;
    let scenario = one_topic(scenario.showing_log());
    let name = scenario.database().name();
    let session = scenario.database().session().await?;
    let quiet = format!("ALTER DATABASE {name} SET client_min_messages = 'error'");
    session.batch_execute(&quiet).await?;
    let relay = scenario.relay().await?;
    session.batch_execute(&emit(1)).await?;
    ids_until(&scenario, &id(1)).await?;

    let drop = format!("DROP PUBLICATION {name}");
    session.batch_execute(&drop).await?;
    session.batch_execute(&emit(2)).await?;
    refused(&scenario, relay, "CDC0021").await?;
    // That there is one again changes nothing for what was written without.
    let create =
        format!("CREATE PUBLICATION {name} FOR TABLE cdc.outbox WITH (publish = 'insert')");
    session.batch_execute(&create).await?;
    refused(&scenario, scenario.start_relay()?, "CDC0021").await?;
    Ok(())
}

async fn is_of(version: Version, scenario: &Scenario) -> Result<()> {
    let Version::Major(wanted) = version else {
        return Ok(());
    };
    let session = scenario.database().session().await?;
    let row = session
        .query_one(
            "SELECT current_setting('server_version_num')::int / 10000",
            &[],
        )
        .await?;
    let major: i32 = row.get(0);
    ensure!(
        major == i32::from(wanted),
        "the server is PostgreSQL {major}"
    );
    Ok(())
}
