//! `cdc-relay status`.

mod consumers;
mod probe;
mod render;

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use self::consumers::Consumers;
use crate::admin::client;
use crate::cli::Status;
use crate::config::Config;
use crate::database::{Database, Pace, SlotState};
use crate::failure::Failure;
use crate::relay_state::Snapshot;
use crate::terminal::say;

/// Over this time rates are measured.
const MEASURED: Duration = Duration::from_secs(1);

/// Both sides of a relay: what PostgreSQL says of its slot, and what it says of itself.
#[derive(Debug, Serialize)]
struct Report {
    /// `None` when the slot does not exist. With several shards: the one that is furthest behind.
    #[serde(flatten)]
    slot: SlotReport,
    /// Each of them, in the order of the shards; empty when there is only one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    shards: Vec<SlotReport>,
    /// `None` when no relay answers on `admin.listen`.
    relay: Option<Snapshot>,
    /// `None` when no relay answers, or it was started anew meanwhile.
    throughput: Option<Throughput>,
    /// How old the oldest event may be that is not confirmed; `None` when nobody can say.
    lag_seconds: Option<f64>,
    /// What is behind Kafka.
    #[serde(flatten)]
    consumers: Consumers,
}

/// One slot.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct SlotReport {
    /// As the configuration has it.
    #[serde(skip)]
    name: String,
    /// `None` when it does not exist.
    slot: Option<SlotState>,
    /// How fast the log grows and the slot follows; `None` when the slot does not exist.
    pace: Option<Pace>,
}

/// What the relay delivered just now.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Throughput {
    events_per_second: f64,
    transactions_per_second: f64,
}

/// Prints the state, or only asks for health.
pub(super) async fn run(arguments: &Status, config: &Config) -> Result<(), Failure> {
    if arguments.probe {
        return probe::run(config).await;
    }
    let report = measure(config).await?;
    if arguments.json {
        let json = serde_json::to_string_pretty(&report).map_err(|error| {
            Failure::internal("the status cannot be written as JSON").caused_by(error)
        })?;
        say(json);
    } else {
        say(render::text(&report, config));
    }
    Ok(())
}

/// Looks twice, unless there is nothing to look at.
async fn measure(config: &Config) -> Result<Report, Failure> {
    let database = Database::connect(config).await?;
    let started = Instant::now();
    let before = slots(&database, config).await?;
    let relay_before = relay(config).await;
    if before.iter().any(Option::is_some) || relay_before.is_some() {
        tokio::time::sleep_until(started + MEASURED).await;
    }
    let now = slots(&database, config).await?;
    let relay = relay(config).await;
    let elapsed = started.elapsed();
    let configs = config.shards();
    let reports = configs.iter().zip(before).zip(now);
    let mut shards: Vec<_> = reports
        .map(|((shard, before), now)| SlotReport {
            name: shard.relay.slot.to_string(),
            pace: before
                .as_ref()
                .zip(now.as_ref())
                .map(|(before, now)| Pace::between(before, now, elapsed)),
            slot: now,
        })
        .collect();
    let slot = worst(&shards)?;
    if shards.len() == 1 {
        shards.clear();
    }
    Ok(Report {
        throughput: Throughput::between(relay_before.as_ref(), relay.as_ref()),
        lag_seconds: lag(slot.slot.as_ref(), relay.as_ref()),
        slot,
        shards,
        relay,
        consumers: Consumers::look(config).await?,
    })
}

async fn slots(database: &Database, config: &Config) -> Result<Vec<Option<SlotState>>, Failure> {
    let mut slots = Vec::new();
    for shard in config.shards() {
        slots.push(database.slot(&shard).await?);
    }
    Ok(slots)
}

/// One that does not exist is worse than any that lags.
fn worst(shards: &[SlotReport]) -> Result<SlotReport, Failure> {
    let lag = |report: &&SlotReport| {
        report
            .slot
            .as_ref()
            .map_or(i64::MAX, |slot| slot.lag_bytes.unwrap_or(0))
    };
    let worst = shards.iter().max_by_key(lag).cloned();
    worst.ok_or_else(|| Failure::internal("there are no shards"))
}

async fn relay(config: &Config) -> Option<Snapshot> {
    client::status(config.admin.listen.as_ref()?).await.ok()
}

/// The relay knows best; of one that cannot be asked, the server knows how long its last confirmation took.
fn lag(slot: Option<&SlotState>, relay: Option<&Snapshot>) -> Option<f64> {
    match relay {
        Some(relay) => relay.lag_seconds,
        None => slot?.confirmation_seconds,
    }
}

impl Throughput {
    #[expect(clippy::cast_precision_loss, reason = "rates to look at")]
    fn between(before: Option<&Snapshot>, now: Option<&Snapshot>) -> Option<Self> {
        let (before, now) = (before?, now?);
        let seconds = now.uptime_seconds - before.uptime_seconds;
        let rate = |before: u64, now: u64| {
            let counted = now.checked_sub(before)?;
            (seconds > 0.0).then(|| counted as f64 / seconds)
        };
        Some(Self {
            events_per_second: rate(before.events_total, now.events_total)?,
            transactions_per_second: rate(before.transactions_total, now.transactions_total)?,
        })
    }
}
