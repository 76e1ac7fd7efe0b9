//! The relay, into a topic of its own.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cdc_e2e::database::Session;
use cdc_e2e::relay::Relay;
use cdc_e2e::services::Services;
use tokio::time::MissedTickBehavior;

use super::backlog::Filled;
use super::figures::{RelayRun, micros_per_row, rate};
use crate::broker::{HighWatermarks, Topic};
use crate::outbox::Outbox;
use crate::statistics::rounded;
use crate::walsender::WalsenderClock;

/// Time between two looks at the topic.
const LOOK: Duration = Duration::from_millis(20);

/// How long a drain may take before it counts as stuck: several times that of the slowest machine known.
const LIMIT: Duration = Duration::from_secs(600);

/// How long the relay may take to stop.
const STOP: Duration = Duration::from_secs(30);

/// Drains the backlog of `slot`.
pub(super) async fn run(
    services: &Services,
    outbox: &Outbox,
    slot: &str,
    backlog: &Filled,
) -> Result<RelayRun> {
    let topic = Topic::create(services.kafka_brokers(), &Outbox::topic(slot)).await?;
    let marks = topic.high_watermarks()?;
    ensure!(marks.records()? == 0, "the topic is not empty");
    let session = outbox.session().await?;
    let mut walsender = WalsenderClock::new(slot);

    let started = Instant::now();
    let mut relay = outbox.start_relay(slot)?;
    let watched = watch(
        &mut relay,
        started,
        backlog,
        &marks,
        &mut walsender,
        &session,
    )
    .await;
    let seen = watched.with_context(|| outbox.log())?;
    let cpu = relay.pid().cpu_time()?;
    let exit = relay.sigterm(STOP).await?;
    ensure!(
        exit.status.success(),
        "the relay: {}\n{}",
        exit.status,
        outbox.log()
    );
    let records = marks.records()?;
    ensure!(
        records == u64::from(backlog.rows),
        "{records} records from {} rows",
        backlog.rows
    );
    topic.delete().await?;

    let Seen {
        first,
        at_first,
        last,
    } = seen;
    let after_first = backlog.rows - u32::try_from(at_first)?;
    Ok(RelayRun {
        seconds: rounded(last.as_secs_f64()),
        rows_per_second: rate(backlog.rows, last),
        seconds_to_first_record: rounded(first.as_secs_f64()),
        rows_per_second_after_first_record: rate(after_first, last.saturating_sub(first)),
        cpu_us_per_row: micros_per_row(backlog.rows, cpu),
        walsender_cpu_us_per_row: micros_per_row(backlog.rows, walsender.used()),
        peak_resident_mib: rounded(exit.peak.0 as f64 / 1024.0),
    })
}

/// What consumers could read when, since the start of the process.
struct Seen {
    first: Duration,
    /// Records that the first look which found any has found.
    at_first: u64,
    last: Duration,
}

async fn watch(
    relay: &mut Relay,
    started: Instant,
    backlog: &Filled,
    marks: &HighWatermarks,
    walsender: &mut WalsenderClock,
    session: &Session,
) -> Result<Seen> {
    let mut first = None;
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let records = marks.records()?;
        let now = started.elapsed();
        if records > 0 && first.is_none() {
            first = Some((now, records));
        }
        walsender.look(session).await?;
        if let Some((first, at_first)) = first
            && records >= u64::from(backlog.rows)
        {
            let last = now;
            return Ok(Seen {
                first,
                at_first,
                last,
            });
        }
        ensure!(relay.is_running(), "the relay has ended by itself");
        ensure!(now < LIMIT, "{records} records after {now:?}");
    }
}
