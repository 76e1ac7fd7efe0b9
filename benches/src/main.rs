//! `make bench`: what the relay does on real servers, as ratios against a reference in the same run.
//!
//! ```text
//!  backlog ─┬─▶ slot A ─▶ pg_recvlogical ─▶ /dev/null     what PostgreSQL gives to its own client
//!           └─▶ slot B ─▶ cdc-relay ─▶ Kafka              what arrives with the relay
//! ```
//!
//! `docs/performance.md` says how, and what came out.

mod arguments;
mod broker;
mod drain;
mod idle;
mod latency;
mod outbox;
mod report;
mod servers;
mod statistics;
mod walsender;

use std::process::ExitCode;

use anyhow::Result;
use cdc_e2e::interrupt::run_until_interrupted;
use cdc_e2e::progress::Progress;
use cdc_e2e::services::Services;
use clap::Parser;

use arguments::{Arguments, Effort, Suite};
use report::{Machine, Report};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // The program's state is large, and lives on the heap so that the stack need not hold it.
    run_until_interrupted(Box::pin(run(arguments))).await
}

/// Measures, prints, and keeps the results unless it was only a quick look. A missed target is not an error.
async fn run(arguments: Arguments) -> Result<bool> {
    let effort = arguments.effort();
    let services = servers::start().await?;
    let reports = measure(&services, arguments.suite, &effort).await?;
    print(&report::table(&reports));
    if effort.keep_results {
        report::keep(&reports)?;
    }
    Ok(true)
}

async fn measure(services: &Services, suite: Suite, effort: &Effort) -> Result<Vec<Report>> {
    let machine = Machine::look(services).await?;
    let progress = Progress::on_stdout();
    let mut reports = Vec::new();
    if suite.has(Suite::Drain) {
        progress.now("warming up the broker");
        broker::warm_up(services.kafka_brokers(), effort.rows).await?;
        for case in drain::CASES {
            let figures = drain::measure(services, case, effort, &progress).await?;
            reports.push(Report::new(case.name(), &machine, figures.into()));
        }
    }
    if suite.has(Suite::Latency) {
        let figures = latency::measure(services, effort, &progress).await?;
        reports.push(Report::new("latency", &machine, figures.into()));
    }
    if suite.has(Suite::Idle) {
        let figures = idle::measure(services, effort, &progress).await?;
        reports.push(Report::new("idle", &machine, figures.into()));
    }
    Ok(reports)
}

#[expect(clippy::print_stdout, reason = "the program's result")]
fn print(table: &str) {
    println!("\n{table}");
}
