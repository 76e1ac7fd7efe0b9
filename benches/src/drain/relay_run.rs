//! One relay, or several, into a topic of their own.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cdc_e2e::services::Services;
use tokio::time::MissedTickBehavior;

use super::backlog::Filled;
use super::figures::{RelayRun, micros_per_row, rate};
use super::relays::Relays;
use crate::broker::{EndOffsets, Isolation, Topic};
use crate::outbox::{Outbox, Stream};
use crate::statistics::rounded;

/// Time between two looks at the topic.
const LOOK: Duration = Duration::from_millis(20);

/// How long a drain may take before it counts as stuck: several times that of the slowest machine known.
const LIMIT: Duration = Duration::from_secs(600);

/// Drains the backlog with a relay for each of `streams`. All must have the topics of the first.
pub(super) async fn run(
    services: &Services,
    outbox: &Outbox,
    streams: &[Stream],
    backlog: &Filled,
) -> Result<RelayRun> {
    let first = streams.first().context("no relay to run")?;
    let brokers = services.kafka_brokers();
    let topic = Topic::create(brokers, &first.topic()).await?;
    let mut checkpoints = Vec::new();
    // A relay makes it the first time it starts; what counts is how it starts ever after.
    for stream in streams {
        checkpoints.push(Topic::create_for_checkpoints(brokers, &stream.checkpoint_topic()).await?);
    }
    let ends = Ends::of(&topic)?;
    let run = drain(outbox, streams, backlog, &ends);
    let run = run.await.with_context(|| outbox.log())?;
    let records = topic.count_committed()?;
    ensure!(
        records == u64::from(backlog.rows),
        "{records} records from {} rows",
        backlog.rows
    );
    for topic in checkpoints.into_iter().chain([topic]) {
        topic.delete().await?;
    }
    Ok(run)
}

async fn drain(
    outbox: &Outbox,
    streams: &[Stream],
    backlog: &Filled,
    ends: &Ends,
) -> Result<RelayRun> {
    let rows = backlog.rows;
    ensure!(ends.all.sum()? == 0, "the topic is not empty");
    let session = outbox.session().await?;
    let started = Instant::now();
    let mut relays = Relays::start(outbox, streams)?;
    let mut first = None;
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let last = loop {
        looks.tick().await;
        let readable = ends.readable.sum()?;
        if readable > 0 && first.is_none() {
            first = Some((started.elapsed(), readable));
        }
        relays.look_at_walsenders(&session).await?;
        if readable >= u64::from(rows) && ends.has_all(&relays, rows).await? {
            break started.elapsed();
        }
        relays.all_run()?;
        let waited = started.elapsed();
        ensure!(waited < LIMIT, "{readable} of {rows} after {waited:?}");
    };
    let cpu = relays.cpu_time()?;
    let peak = relays.stop().await?;

    let (first, at_first) = first.context("no record was seen")?;
    let after_first = rows.saturating_sub(u32::try_from(at_first)?);
    Ok(RelayRun {
        seconds: rounded(last.as_secs_f64()),
        rows_per_second: rate(rows, last),
        seconds_to_first_record: rounded(first.as_secs_f64()),
        rows_per_second_after_first_record: rate(after_first, last.saturating_sub(first)),
        cpu_us_per_row: micros_per_row(rows, cpu.relays),
        walsender_cpu_us_per_row: micros_per_row(rows, cpu.walsenders),
        peak_resident_mib: rounded(peak.0 as f64 / 1024.0),
    })
}

/// Where the topic ends, for both kinds of reader.
struct Ends {
    readable: EndOffsets,
    all: EndOffsets,
}

impl Ends {
    fn of(topic: &Topic) -> Result<Self> {
        Ok(Self {
            readable: topic.ends(Isolation::ReadCommitted)?,
            all: topic.ends(Isolation::ReadUncommitted)?,
        })
    }

    /// Whether everything has been sent, and consumers that want committed records only can read all of it.
    ///
    /// The ends alone don't tell: every transaction adds to them besides its records. The relays alone don't either:
    /// the broker ends a transaction in its partitions after it has told the producer that it is committed.
    async fn has_all(&self, relays: &Relays, rows: u32) -> Result<bool> {
        if relays.delivered().await? < u64::from(rows) {
            return Ok(false);
        }
        let all = self.all.sum()?;
        Ok(self.readable.sum()? >= all)
    }
}
