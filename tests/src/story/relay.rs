//! The relay alone: 30,000 events while things are killed.

mod summary;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use self::summary::Summary;
use crate::progress::Progress;
use crate::relay::Relay;
use crate::scenario::Scenario;
use crate::services::{Component, Services};
use crate::stopwatch::Phase;
use crate::wait::{Look, until};
use crate::workload::{Entry, Load, Mix, Pace, Transaction};

/// Events in all.
const EVENTS: u64 = 30_000;

/// Events in the one large transaction.
const LARGE: u32 = 10_000;

/// For how long nothing is broken at first, to measure the latency.
const CALM: Duration = Duration::from_secs(4);

/// The load while latency is measured.
const CALM_PACE: Pace = Pace(1_000);

/// The load while things are broken. Low enough that a slow machine, too, has events left to write in the end.
const ROUGH_PACE: Pace = Pace(250);

/// How long events may stand still after a fault.
const RECOVERY: Duration = Duration::from_secs(60);

/// How long the relay may take to stop.
const STOP: Duration = Duration::from_secs(30);

/// Plays it to its end, and prints what was seen. Whether every promise was kept.
///
/// # Errors
/// Fails if something does not happen that the story waits for.
pub async fn play(services: &Arc<Services>) -> Result<bool> {
    let progress = Progress::on_stdout();
    progress.now("creating the database, the publication and the slot");
    let scenario = Scenario::on(Arc::clone(services)).await?;
    progress.watch(scenario.journal());
    let told = tell(&scenario, &progress).await;
    if !told
        .as_ref()
        .is_ok_and(|summary| summary.verdict.is_clean())
    {
        progress.note(&scenario.log().tail(50));
    }
    let summary = told?;
    drop(progress);
    summary.print();
    Ok(summary.verdict.is_clean())
}

async fn tell(scenario: &Scenario, progress: &Progress) -> Result<Summary> {
    let journal = scenario.journal();
    let mut summary = Summary::default();
    let consumer = scenario.consumer()?;
    let mut relay = scenario.relay().await?;
    let mut writers = scenario.writers(3, 1);
    let mut large = writers.split_off(2);

    progress.now("the first events, for which topics are created");
    for writer in &mut writers {
        writer.write_mix(Mix::SingleRows, 100, Phase::Rough).await?;
    }
    journal.all_received(RECOVERY).await?;

    progress.now("single rows, nothing is broken");
    let load = Load::start(writers, Mix::SingleRows, CALM_PACE, Phase::Calm);
    tokio::time::sleep(CALM).await;
    let writers = load.stop().await?;
    journal.all_received(RECOVERY).await?;

    let load = Load::start(writers, Mix::Everything, ROUGH_PACE, Phase::Rough);
    progress.now("kill -9 relay");
    summary.ended(&relay.kill_9().await?);
    let down = Instant::now();
    relay = scenario.start_relay()?;
    summary.recovered(
        "relay, kill -9",
        recovery(scenario, &mut relay, down).await?,
    );

    progress.now(format!(
        "a transaction of {LARGE} rows, kill -9 relay in the middle of it"
    ));
    let before = journal.counts().received;
    for writer in &mut large {
        writer
            .write(
                Transaction::Bulk { events: LARGE },
                Entry::Insert,
                Phase::Rough,
            )
            .await?;
    }
    until(
        RECOVERY,
        "the first rows of the large transaction",
        async || {
            let received = journal.counts().received - before;
            Ok(Look::when(received > u64::from(LARGE) / 10, received))
        },
    )
    .await?;
    summary.ended(&relay.kill_9().await?);
    let down = Instant::now();
    relay = scenario.start_relay()?;
    summary.recovered(
        "relay, kill -9 within 10,000 rows",
        recovery(scenario, &mut relay, down).await?,
    );

    progress.now("kill -9 Kafka, and start it again");
    scenario.servers()?.kill(Component::Kafka).await?;
    let down = Instant::now();
    scenario.servers()?.start_again(Component::Kafka).await?;
    summary.recovered(
        "Kafka, kill -9 and start",
        recovery(scenario, &mut relay, down).await?,
    );

    progress.now("restart PostgreSQL");
    scenario.servers()?.stop(Component::Postgres).await?;
    let down = Instant::now();
    scenario.servers()?.start_again(Component::Postgres).await?;
    summary.recovered(
        "PostgreSQL, restart",
        recovery(scenario, &mut relay, down).await?,
    );

    progress.now("the rest of the events");
    for writer in load.stop().await?.iter_mut().take(1) {
        let left = u32::try_from(EVENTS.saturating_sub(journal.counts().committed))?;
        writer
            .write_mix(Mix::Everything, left, Phase::Rough)
            .await?;
    }
    summary.verdict = consumer.finish(RECOVERY).await?;
    summary.latency = journal.latency();
    progress.now("SIGTERM relay");
    summary.ended(&relay.sigterm(STOP).await?);
    Ok(summary)
}

/// The time from `down` until an event that was committed after it has arrived.
async fn recovery(scenario: &Scenario, relay: &mut Relay, down: Instant) -> Result<Duration> {
    let flows = scenario.journal().flows_again(down, RECOVERY).await;
    ensure!(
        relay.is_running(),
        "the relay has ended by itself:\n{}",
        scenario.log().tail(20)
    );
    flows.map(|()| down.elapsed())
}
