//! Faults at random moments, under load, with the ledger as the judge.

pub mod consumers;
mod fault;
mod recoveries;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::ledger::Verdict;
use crate::process::Kibibytes;
use crate::progress::Progress;
use crate::random::Random;
use crate::relay::Relay;
use crate::report::Table;
use crate::scenario::Scenario;
use crate::stopwatch::Phase;
use crate::workload::{Load, Mix, Pace};

pub use fault::Fault;
use recoveries::Recoveries;

/// The load under which things are broken.
const PACE: Pace = Pace(1_000);

/// Writers that share it.
const WRITERS: u16 = 2;

/// Time from one recovery to the next fault.
const BREATH: std::ops::Range<Duration> = Duration::from_millis(50)..Duration::from_millis(1200);

/// How long the way through may be shut after a fault has ended.
const RECOVERY: Duration = Duration::from_secs(60);

/// How long the rest may take to arrive in the end.
const FINISH: Duration = Duration::from_secs(120);

/// What is broken, and how often.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Which faults, and when, follows from it; what they hit does not.
    pub seed: u64,
    /// What may happen, at least one.
    pub faults: Vec<Fault>,
    /// When it is enough.
    pub limit: Limit,
}

/// The length of a run.
#[derive(Debug, Clone, Copy)]
pub enum Limit {
    /// Each of the faults once, in their order.
    EachOnce,
    /// So many faults, at random.
    Cycles(u32),
    /// Faults at random, for so long.
    Time(Duration),
}

/// What a run has shown.
#[derive(Debug)]
pub struct Report {
    /// What was promised and seen.
    pub verdict: Verdict,
    /// The most memory that any of the relays had resident.
    pub peak: Kibibytes,
    recoveries: Recoveries,
}

impl Report {
    /// Faults and how long it took until events flowed again.
    pub fn recoveries(&self) -> Table {
        self.recoveries.table()
    }
}

impl Plan {
    /// The fault of a cycle; none when it is enough.
    fn next(&self, cycle: usize, started: Instant, random: &mut Random) -> Option<Fault> {
        let more = match self.limit {
            Limit::EachOnce => return self.faults.get(cycle).copied(),
            Limit::Cycles(limit) => cycle < limit as usize,
            Limit::Time(limit) => started.elapsed() < limit,
        };
        more.then(|| random.pick(&self.faults))
    }
}

/// Breaks things as planned, lets them recover, and judges.
///
/// # Errors
/// Fails if the relay ends by itself, or something does not recover within a minute. Broken promises are not errors but
/// in the report. The error names the seed.
pub async fn run(scenario: &Scenario, plan: &Plan, progress: &Progress) -> Result<Report> {
    let run = break_things(scenario, plan, progress).await;
    run.with_context(|| format!("chaos with seed {} and {:?}", plan.seed, plan.faults))
}

async fn break_things(scenario: &Scenario, plan: &Plan, progress: &Progress) -> Result<Report> {
    let mut random = Random::seeded(plan.seed);
    let consumer = scenario.consumer()?;
    let mut relay = scenario.relay().await?;
    let load = Load::start(
        scenario.writers(WRITERS, plan.seed),
        Mix::Everything,
        PACE,
        Phase::Rough,
    );
    let mut recoveries = Recoveries::default();
    let mut peak = Kibibytes::default();
    let started = Instant::now();
    for cycle in 0.. {
        let Some(fault) = plan.next(cycle, started, &mut random) else {
            break;
        };
        tokio::time::sleep(random.duration(BREATH)).await;
        peak = peak.max(relay.pid().peak_resident().unwrap_or_default());
        progress.now(format!("fault {}: {fault}", cycle + 1));
        let moment;
        (relay, moment) = fault
            .strike(scenario, relay, &mut random)
            .await
            .with_context(|| fault.to_string())?;
        // Now and then the next blow comes before the first one is overcome.
        let waits = !(fault == Fault::KillRelay && random.within(0..3) == 0);
        if waits {
            flows_again(scenario, &mut relay, moment)
                .await
                .with_context(|| fault.to_string())?;
        }
        recoveries.add(fault, waits.then(|| moment.elapsed()));
    }
    progress.now("the rest arrives");
    load.stop().await?;
    let verdict = consumer.finish(FINISH).await?;
    ensure!(
        relay.is_running(),
        "the relay has ended by itself:\n{}",
        scenario.log().tail(20)
    );
    let exit = relay.sigterm(fault::STOP).await?;
    ensure!(
        exit.status.success(),
        "the relay ended with {}",
        exit.status
    );
    Ok(Report {
        verdict,
        peak: peak.max(exit.peak),
        recoveries,
    })
}

async fn flows_again(scenario: &Scenario, relay: &mut Relay, since: Instant) -> Result<()> {
    let flows = scenario.journal().flows_again(since, RECOVERY).await;
    ensure!(
        relay.is_running(),
        "the relay has ended by itself:\n{}",
        scenario.log().tail(20)
    );
    flows
}
