//! `make chaos`: kills of relay and broker in quick succession, then faults of every kind at random.

use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result};
use cdc_e2e::chaos::{self, Fault, Limit, Plan};
use cdc_e2e::interrupt::run_until_interrupted;
use cdc_e2e::progress::Progress;
use cdc_e2e::random;
use cdc_e2e::services::{Component, Services};
use cdc_e2e::{Delivery, Scenario};
use clap::Parser;

/// A broker takes seconds to come back, a relay does not.
const KILLS: [Fault; 5] = [
    Fault::KillRelay,
    Fault::KillRelay,
    Fault::KillRelay,
    Fault::KillRelay,
    Fault::KillKafka,
];

/// Breaks things under load and judges whether every promise was kept.
#[derive(Debug, Parser)]
#[command(after_help = "Example:  chaos --cycles 200 --seconds 300 --seed 7")]
struct Arguments {
    /// How often relay or broker are killed before the other faults begin [env: CHAOS_CYCLES] [default: 300]
    #[arg(long)]
    cycles: Option<u32>,
    /// For how long faults of every kind happen after that [env: CHAOS_SECONDS] [default: 180]
    #[arg(long)]
    seconds: Option<u64>,
    /// What the relay promises: exactly_once or at_least_once [env: CHAOS_DELIVERY] [default: exactly_once]
    #[arg(long)]
    delivery: Option<Delivery>,
    /// Decides which faults happen, and when [env: SEED] [default: random]
    #[arg(long)]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    run_until_interrupted(run(arguments)).await
}

async fn run(arguments: Arguments) -> Result<bool> {
    let cycles = arguments
        .cycles
        .map_or_else(|| from_env("CHAOS_CYCLES", 300), Ok)?;
    let seconds = arguments
        .seconds
        .map_or_else(|| from_env("CHAOS_SECONDS", 180), Ok)?;
    let seed = arguments
        .seed
        .map_or_else(|| from_env("SEED", random::entropy() % 1_000_000), Ok)?;
    let delivery = arguments.delivery.map_or_else(delivery_from_env, Ok)?;
    let progress = Progress::on_stdout();
    progress.note(&format!("{delivery}, seed {seed}"));
    let mut clean = true;
    for (faults, limit) in [
        (KILLS.to_vec(), Limit::Cycles(cycles)),
        (
            Fault::ALL.to_vec(),
            Limit::Time(Duration::from_secs(seconds)),
        ),
    ] {
        if matches!(limit, Limit::Cycles(0) | Limit::Time(Duration::ZERO)) {
            continue;
        }
        let scenario = Scenario::on(services().await?).await?.delivering(delivery);
        progress.watch(scenario.journal());
        let run = chaos::run(
            &scenario,
            &Plan {
                seed,
                faults,
                limit,
            },
            &progress,
        )
        .await;
        if !run.as_ref().is_ok_and(|report| report.verdict.is_clean()) {
            progress.note(&scenario.log().tail(50));
        }
        let report = run?;
        progress.note(&format!("\n{}\n{}", report.verdict, report.recoveries()));
        progress.note(&format!(
            "  relay: at most {} resident; seed {seed}\n",
            report.peak
        ));
        clean &= report.verdict.is_clean();
    }
    Ok(clean)
}

/// Servers in `SERVICES_DIR`, else in a temporary directory; destroyed in the end.
async fn services() -> Result<Services> {
    match std::env::var_os("SERVICES_DIR") {
        Some(dir) => Services::in_dir(dir.into(), false).await,
        None => Services::private(&[Component::Postgres, Component::Kafka]).await,
    }
}

/// The number in an environment variable. An empty one counts as not set: make passes those on.
fn from_env<T: FromStr>(name: &str, default: T) -> Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => value.parse().with_context(|| format!("{name}={value}")),
        _ => Ok(default),
    }
}

fn delivery_from_env() -> Result<Delivery> {
    match std::env::var("CHAOS_DELIVERY") {
        Ok(name) if !name.is_empty() => name.parse(),
        _ => Ok(Delivery::ExactlyOnce),
    }
}
