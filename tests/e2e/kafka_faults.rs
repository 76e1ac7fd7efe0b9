//! Kafka dies, or hangs.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cdc_e2e::chaos::{self, Fault, Limit, Plan};
use cdc_e2e::process::{Kibibytes, Signal};
use cdc_e2e::progress::Progress;
use cdc_e2e::random;
use cdc_e2e::services::Component;
use cdc_e2e::stopwatch::Phase;
use cdc_e2e::wait::{Look, until};
use cdc_e2e::workload::{Load, Mix, Pace};
use cdc_e2e::{Delivery, Scenario};

use crate::heavy;

const SOON: Duration = Duration::from_secs(40);

/// Longer than the broker's session with the controller, 2.5 s in `scripts/services`.
const FENCED: Duration = Duration::from_secs(5);

/// Long enough for a producer that lost its way to be found out and replaced.
const LATER: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread")]
async fn survives_kafka_being_killed_under_load_with_at_least_once() -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = Scenario::private(&[Component::Kafka]).await?;
    let scenario = scenario.delivering(Delivery::AtLeastOnce);
    let plan = Plan {
        seed: random::entropy(),
        faults: vec![Fault::KillKafka],
        limit: Limit::Cycles(2),
    };
    let report = chaos::run(&scenario, &plan, &Progress::silent()).await?;
    report.verdict.require_clean()
}

/// Feedback must not wait for Kafka: PostgreSQL ends the connection after `wal_sender_timeout` without it.
#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_replication_connection_while_kafka_hangs_for_three_wal_sender_timeouts()
-> Result<()> {
    const WAL_SENDER_TIMEOUT: Duration = Duration::from_secs(5);
    let _turn = heavy::turn().await;
    // A transaction does not outlive so long a silence: the session then begins anew.
    let scenario = Scenario::private(&[Component::Kafka])
        .await?
        .delivering(Delivery::AtLeastOnce);
    // A broker that is fenced for its silence is another story, told below.
    scenario.servers()?.be_patient_with_kafka().await?;
    scenario
        .database()
        .set_wal_sender_timeout(WAL_SENDER_TIMEOUT)
        .await?;
    let consumer = scenario.consumer()?;
    let mut relay = scenario.relay().await?;
    let load = Load::start(
        scenario.writers(2, 1),
        Mix::Everything,
        Pace(2_000),
        Phase::Rough,
    );
    scenario
        .journal()
        .flows_again(Instant::now(), Duration::from_secs(20))
        .await?;
    let walsender = scenario.database().walsender().await?.pid;

    scenario.servers()?.freeze(Component::Kafka)?;
    let frozen = Instant::now();
    let mut resident = relay.pid().resident()?;
    until(
        Duration::from_secs(30),
        "three timeouts to pass",
        async || {
            resident = resident.max(relay.pid().resident()?);
            ensure!(relay.is_running(), "the relay has ended");
            Ok(Look::when(
                frozen.elapsed() > 3 * WAL_SENDER_TIMEOUT,
                "still within",
            ))
        },
    )
    .await?;
    ensure!(
        scenario.database().walsender().await?.pid == walsender,
        "the replication connection was lost"
    );
    ensure!(
        resident < Kibibytes::from_mebibytes(60),
        "memory grew to {resident}"
    );

    scenario.servers()?.thaw(Component::Kafka)?;
    load.stop().await?;
    consumer
        .finish(Duration::from_secs(60))
        .await?
        .require_clean()?;
    ensure!(
        scenario.database().walsender().await?.pid == walsender,
        "the replication connection was lost"
    );

    // The timeout was in force: a relay that is silent does lose its connection.
    relay.pid().send(Signal::Stop)?;
    until(
        4 * WAL_SENDER_TIMEOUT,
        "the silent relay to be disconnected",
        async || {
            let walsender = scenario.database().slot().await?.walsender;
            Ok(Look::when(walsender.is_none(), "connected"))
        },
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn does_not_confirm_an_event_that_kafka_has_not_acknowledged_even_if_idle() -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = Scenario::private(&[Component::Kafka]).await?;
    scenario.servers()?.be_patient_with_kafka().await?;
    let database = scenario.database();
    let consumer = scenario.consumer()?;
    let relay = scenario.relay().await?;
    let mut writer = scenario.writer();
    writer.write_mix(Mix::SingleRows, 10, Phase::Rough).await?;
    scenario.journal().all_received(SOON).await?;
    database
        .confirmed_past(database.current_lsn().await?, SOON)
        .await?;

    scenario.servers()?.freeze(Component::Kafka)?;
    writer.write_mix(Mix::SingleRows, 1, Phase::Rough).await?;
    let later = database.write_elsewhere(2_000).await?;
    // The walsender has passed all that, and the relay has answered to it.
    database.reply_after(later, SOON).await?;
    relay.kill_9().await?;
    let left = database.changes_left(SOON).await?;
    ensure!(
        left == 1,
        "one event is not delivered, but the slot would send {left}"
    );

    scenario.servers()?.thaw(Component::Kafka)?;
    let _relay = scenario.relay().await?;
    consumer.finish(LATER).await?.require_clean()?;
    database.confirmed_past(later, LATER).await
}

/// A broker that hangs for longer than its session with the controller is fenced; its partitions then have no leader
/// for a moment, of which librdkafka's producer sometimes never recovers.
#[tokio::test(flavor = "multi_thread")]
async fn delivers_everything_after_a_broker_was_fenced() -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = Scenario::private(&[Component::Kafka]).await?;
    let consumer = scenario.consumer()?;
    let _relay = scenario.relay().await?;
    let load = Load::start(
        scenario.writers(2, random::entropy()),
        Mix::Everything,
        Pace(500),
        Phase::Rough,
    );
    for _ in 0..2 {
        scenario
            .journal()
            .flows_again(Instant::now(), LATER)
            .await?;
        scenario.servers()?.freeze(Component::Kafka)?;
        tokio::time::sleep(FENCED).await;
        scenario.servers()?.thaw(Component::Kafka)?;
    }
    scenario
        .journal()
        .flows_again(Instant::now(), LATER)
        .await?;
    load.stop().await?;
    consumer.finish(LATER).await?.require_clean()
}

#[tokio::test(flavor = "multi_thread")]
async fn says_soon_and_once_that_kafka_is_away_and_stops_when_told_to() -> Result<()> {
    let scenario = Scenario::shared()
        .await?
        .with("CDC_KAFKA__BROKERS", "127.0.0.1:1");
    let started = Instant::now();
    let relay = scenario.start_relay()?;
    let word = "waiting for Kafka";
    until(SOON, "a word of what it waits for", async || {
        Ok(Look::when(scenario.log().contains(word), "silence"))
    })
    .await?;
    let took = started.elapsed();
    ensure!(took < Duration::from_secs(5), "it was silent for {took:?}");
    // Long enough for another try.
    until(SOON, "ten seconds to pass", async || {
        let uptime = relay.admin().status().await?["uptime_seconds"].as_f64();
        Ok(Look::when(uptime > Some(10.0), format!("{uptime:?}")))
    })
    .await?;
    let exit = relay.sigterm(SOON).await?;
    ensure!(exit.status.success(), "{}", exit.status);
    ensure!(
        exit.took < Duration::from_secs(4),
        "the stop took {:?}",
        exit.took
    );
    let log = scenario.log().tail(usize::MAX);
    ensure!(log.matches(word).count() == 1, "{log}");
    ensure!(
        log.contains("CDC0040") && log.contains("127.0.0.1:1"),
        "{log}"
    );
    Ok(())
}
