//! Time from the commit to the consumer under a steady load of small transactions.

mod arrivals;
mod figures;
mod histogram;
pub(crate) mod webhooks;
mod writers;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cdc_e2e::progress::Progress;
use cdc_e2e::services::Services;

use crate::arguments::Effort;
use crate::broker::Topic;
use crate::outbox::{Delivery, Outbox, PayloadType};
use crate::statistics::rounded;

use arrivals::Arrivals;
pub(crate) use figures::LatencyFigures;
use figures::Quantiles;
use histogram::Histogram;
use writers::{Commits, Writers};

/// Events a second, each in its own transaction.
pub(crate) const RATE: u32 = 1000;

/// How long the last events may take.
const ARRIVE: Duration = Duration::from_secs(30);

/// How long the relay may take to stop.
const STOP: Duration = Duration::from_secs(30);

/// Number of an event, in the order in which they are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventNumber(pub(crate) u32);

/// Writes at a steady pace while a relay streams and a consumer reads, and compares their clocks.
pub(crate) async fn measure(
    services: &Services,
    delivery: Delivery,
    effort: &Effort,
    progress: &Progress,
) -> Result<LatencyFigures> {
    let outbox = Outbox::create(services, PayloadType::Json).await?;
    let stream = outbox.stream("latency", delivery);
    outbox.add_slot(&stream).await?;
    let topic = Topic::create(services.kafka_brokers(), &stream.topic()).await?;
    let warm_up = events_in(effort.latency_warm_up, RATE);
    let total = warm_up + events_in(effort.latency, RATE);
    let arrivals = Arrivals::start(services.kafka_brokers(), &topic, total)?;
    let writers = Writers::connect(&outbox, RATE).await?;
    let mut relay = outbox.start_relay(&stream)?;
    relay.until_phase("streaming").await?;

    let step = format!("latency, {}", delivery.name());
    progress.now(format!("{step}: {warm_up} events to warm up"));
    writers.write(0..warm_up).await?;
    arrivals
        .wait_for(warm_up, ARRIVE)
        .await
        .with_context(|| outbox.log())?;

    let seconds = effort.latency.as_secs();
    progress.now(format!("{step}: {RATE} events/s for {seconds} s"));
    let acks_before = Histogram::of(&relay).await?;
    let cpu_before = relay.pid().cpu_time()?;
    let started = Instant::now();
    let commits = writers.write(warm_up..total).await?;
    let took = started.elapsed();
    let cpu = relay.pid().cpu_time()?.saturating_sub(cpu_before);
    arrivals
        .wait_for(total, ARRIVE)
        .await
        .with_context(|| outbox.log())?;
    let acks = Histogram::of(&relay).await?.since(&acks_before);

    let exit = relay.sigterm(STOP).await?;
    let latencies = latencies(&commits, &arrivals.finish()?)?;
    topic.delete().await?;
    outbox.remove().await?;
    Ok(LatencyFigures {
        delivery,
        events: latencies.len(),
        events_per_second: rounded(latencies.len() as f64 / took.as_secs_f64()),
        commit_to_consumer: Quantiles::of(latencies),
        commit_to_ack_at_most: acks.into(),
        cpu_percent: rounded(100.0 * cpu.as_secs_f64() / took.as_secs_f64()),
        peak_resident_mib: rounded(exit.peak.0 as f64 / 1024.0),
    })
}

fn events_in(time: Duration, rate: u32) -> u32 {
    (time.as_secs_f64() * f64::from(rate)) as u32
}

/// The time on the way of each event; zero for one that was seen before its writer knew of the commit.
fn latencies(commits: &Commits, arrivals: &[Option<Instant>]) -> Result<Vec<Duration>> {
    let mut latencies = Vec::with_capacity(commits.len());
    for &(EventNumber(number), committed) in commits {
        let seen = arrivals.get(number as usize).copied().flatten();
        let seen = seen.with_context(|| format!("event {number} was not seen"))?;
        latencies.push(seen.saturating_duration_since(committed));
    }
    ensure!(!latencies.is_empty(), "nothing was measured");
    Ok(latencies)
}
