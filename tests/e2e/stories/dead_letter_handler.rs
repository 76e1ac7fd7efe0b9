//! The handler of dead letters fails too: no loop, but an alert, a row, and a replay after the fix.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::coupon::Switch;
use cdc_e2e::receiver::Receiver;
use cdc_e2e::wait::{Look, until};
use serde_json::Value;

use crate::campaign::Campaign;
use crate::outlet::SOON;

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_of_dead_letters_that_fails_makes_no_loop_and_is_told_of_with_its_causes()
-> Result<()> {
    let receiver = Receiver::start().await?;
    let scenario = Scenario::shared().await?;
    let scenario = scenario.with("CDC_RECOVER__ALERT__WEBHOOK", receiver.url("alert"));
    let mut campaign = Campaign::open(scenario, 10, |options| {
        options
            .with("FAIL_ODD", "true")
            .with("FAIL_DLT", "true")
            .with("RUST_BACKTRACE", "1")
    })
    .await?;
    campaign.collect()?;
    let service = campaign.serve().await?;
    for user in [1, 3] {
        service.apply(user).await?;
    }
    campaign.until_open(2).await?;
    let alert = until(SOON, "the alert", async || {
        let alerts = receiver.requests("alert");
        let last = alerts.last().context("none")?;
        let body: Value = serde_json::from_slice(&last.body)?;
        Ok(Look::Ready(body["data"].clone()))
    })
    .await?;
    ensure!(alert["code"] == "coupon-printer", "{alert}");
    let causes = alert["causes"].to_string();
    ensure!(causes.contains("FAIL_DLT is on"), "{alert}");
    let trace = alert["backtrace"].as_str().unwrap_or_default();
    ensure!(trace.contains("coupon_service"), "{alert}");

    let rows = campaign
        .texts("SELECT error_chain::text || error_backtrace FROM cdc.failed_event WHERE status = 'open'")
        .await?;
    ensure!(rows.len() == 2, "{rows:?}");
    for row in &rows {
        ensure!(
            row.contains("FAIL_DLT is on") && row.contains("coupon_service"),
            "{row}"
        );
    }

    service.fail(Switch::DeadLetters, false).await?;
    let replay = alert["replay"].as_str().context("no command")?;
    let arguments = replay.strip_prefix("cdc-relay ").context("not a command")?;
    let told = campaign.command(arguments).await?;
    ensure!(told.contains("2 events replayed"), "{told}");
    service
        .until_status("/campaign/coupons", |coupons| coupons == 2, SOON)
        .await?;
    // Each went once from topic to topic: into the dead letters, on to the failed ones, and back by the replay.
    let letters = campaign.options.dead_letters();
    let retry = format!("{letters}.{}.retry-1", campaign.options.dead_letter_group());
    for topic in [letters.clone(), format!("{letters}.failed"), retry] {
        let records = campaign.records_in(&topic)?;
        ensure!(records == 2, "{records} in {topic}");
    }
    campaign.until_open(0).await?;
    service.sigterm(Duration::from_secs(30)).await?;
    Ok(())
}
