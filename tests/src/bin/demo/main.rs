//! `make demo`: 30,000 events on real servers while things are killed, and a table of what was promised and seen.

mod story;
mod summary;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use cdc_e2e::Scenario;
use cdc_e2e::interrupt::run_until_interrupted;
use cdc_e2e::progress::Progress;
use cdc_e2e::services::{Services, checkout};

#[tokio::main]
async fn main() -> ExitCode {
    run_until_interrupted(run()).await
}

async fn run() -> Result<bool> {
    let dir = std::env::var_os("SERVICES_DIR")
        .map_or_else(|| checkout().join(".services-demo"), PathBuf::from);
    let keep = std::env::var_os("KEEP").is_some_and(|keep| keep == "1");
    let services = Services::in_dir(dir.clone(), keep).await?;
    if std::env::var_os("STORY").is_some_and(|story| story == "coupon") {
        return cdc_e2e::story::coupon::play(&std::sync::Arc::new(services)).await;
    }
    let progress = Progress::on_stdout();
    progress.now("creating the database, the publication and the slot");
    let scenario = Scenario::on(services).await?;
    progress.watch(scenario.journal());
    let told = story::tell(&scenario, &progress).await;
    if !told
        .as_ref()
        .is_ok_and(|summary| summary.verdict.is_clean())
    {
        progress.note(&scenario.log().tail(50));
    }
    let summary = told?;
    drop(progress);
    summary.print(keep.then_some(dir.as_path()));
    Ok(summary.verdict.is_clean())
}
