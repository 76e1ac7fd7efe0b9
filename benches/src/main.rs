//! `make bench`: what the relay does on real servers, as ratios against a reference in the same run.
//!
//! ```text
//!  backlog ─┬─▶ slot A ─▶ pg_recvlogical ─▶ /dev/null            what PostgreSQL gives to its own client
//!           ├─▶ slot B ─▶ cdc-relay ─▶ Kafka                     what arrives with the relay, at least once
//!           └─▶ slot C ─▶ cdc-relay ─▶ transactions in Kafka     what arrives exactly once
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

use arguments::{Arguments, Suite};
use outbox::Delivery;
use report::{Machine, Report};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // The program's state is large, and lives on the heap so that the stack need not hold it.
    run_until_interrupted(Box::pin(run(arguments))).await
}

/// Measures, prints, and keeps the results unless it was only a quick look. A missed target is not an error.
async fn run(arguments: Arguments) -> Result<bool> {
    let services = servers::start().await?;
    let reports = measure(&services, &arguments).await?;
    print(&report::table(&reports));
    if arguments.effort().keep_results {
        report::keep(&reports)?;
    }
    Ok(true)
}

async fn measure(services: &Services, arguments: &Arguments) -> Result<Vec<Report>> {
    let (suite, effort) = (arguments.suite, &arguments.effort());
    let machine = Machine::look(services).await?;
    let progress = Progress::on_stdout();
    let mut reports = Vec::new();
    if suite.has(Suite::Drain) {
        for case in arguments.cases() {
            let figures = drain::measure(services, case, effort, &progress).await?;
            reports.push(Report::new(case.name(), &machine, figures));
        }
    }
    if suite.has(Suite::Latency) {
        for delivery in [Delivery::AtLeastOnce, Delivery::ExactlyOnce] {
            let figures = latency::measure(services, delivery, effort, &progress).await?;
            let case = format!("latency-{}", delivery.name().replace('_', "-"));
            reports.push(Report::new(case, &machine, figures.into()));
        }
    }
    if suite.has(Suite::Webhooks) {
        let figures = latency::webhooks::measure(services, effort, &progress).await?;
        reports.push(Report::new("latency-webhooks", &machine, figures.into()));
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
