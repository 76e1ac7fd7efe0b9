//! `make chaos`: kills of relay and broker in quick succession, then faults of every kind at random, then kills of the
//! consumers.

use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cdc_e2e::chaos::consumers::{self, ConsumerPlan};
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
    /// How often the consumers are killed in the end [env: CHAOS_CONSUMER_CYCLES] [default: 200]
    #[arg(long)]
    consumer_cycles: Option<u32>,
    /// What is broken: relay, consumers or all [env: CHAOS_WHAT] [default: all]
    #[arg(long)]
    what: Option<What>,
    /// What the relay promises: exactly_once or at_least_once [env: CHAOS_DELIVERY] [default: exactly_once]
    #[arg(long)]
    delivery: Option<Delivery>,
    /// Decides which faults happen, and when [env: SEED] [default: random]
    #[arg(long)]
    seed: Option<u64>,
}

/// Which part of the system is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Relay,
    Consumers,
    All,
}

impl FromStr for What {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "relay" => Ok(Self::Relay),
            "consumers" => Ok(Self::Consumers),
            "all" => Ok(Self::All),
            other => bail!("{other:?} is not relay, consumers or all"),
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    run_until_interrupted(run(arguments)).await
}

async fn run(arguments: Arguments) -> Result<bool> {
    let what = setting(arguments.what, "CHAOS_WHAT", What::All)?;
    let seed = setting(arguments.seed, "SEED", random::entropy() % 1_000_000)?;
    let delivery = setting(arguments.delivery, "CHAOS_DELIVERY", Delivery::ExactlyOnce)?;
    let progress = Progress::on_stdout();
    progress.note(&format!("{delivery}, seed {seed}"));
    let mut clean = true;
    if what != What::Consumers {
        let cycles = setting(arguments.cycles, "CHAOS_CYCLES", 300)?;
        let seconds = setting(arguments.seconds, "CHAOS_SECONDS", 180)?;
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
            let plan = Plan {
                seed,
                faults,
                limit,
            };
            clean &= break_relay(&plan, delivery, &progress).await?;
        }
    }
    let cycles = setting(arguments.consumer_cycles, "CHAOS_CONSUMER_CYCLES", 200)?;
    if what != What::Relay && cycles > 0 {
        let scenario = Scenario::on(services().await?).await?.delivering(delivery);
        let verdict = consumers::run(scenario, ConsumerPlan { cycles, seed }, &progress).await?;
        progress.note(&format!("\n{verdict}\n  seed {seed}\n"));
        clean &= verdict.is_clean();
    }
    Ok(clean)
}

async fn break_relay(plan: &Plan, delivery: Delivery, progress: &Progress) -> Result<bool> {
    let scenario = Scenario::on(services().await?).await?.delivering(delivery);
    progress.watch(scenario.journal());
    let run = chaos::run(&scenario, plan, progress).await;
    if !run.as_ref().is_ok_and(|report| report.verdict.is_clean()) {
        progress.note(&scenario.log().tail(50));
    }
    let report = run?;
    progress.note(&format!("\n{}\n{}", report.verdict, report.recoveries()));
    progress.note(&format!(
        "  relay: at most {} resident; seed {}\n",
        report.peak, plan.seed
    ));
    Ok(report.verdict.is_clean())
}

/// Servers in `SERVICES_DIR`, else in a temporary directory; destroyed in the end.
async fn services() -> Result<Services> {
    match std::env::var_os("SERVICES_DIR") {
        Some(dir) => Services::in_dir(dir.into(), false).await,
        None => Services::private(&[Component::Postgres, Component::Kafka]).await,
    }
}

/// What an argument says, else an environment variable. An empty one counts as not set: make passes those on.
fn setting<T: FromStr>(argument: Option<T>, name: &str, default: T) -> Result<T>
where
    T::Err: Into<anyhow::Error>,
{
    if let Some(value) = argument {
        return Ok(value);
    }
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => {
            let parsed = text.parse().map_err(Into::into);
            parsed.with_context(|| format!("{name}={text}"))
        }
        _ => Ok(default),
    }
}
