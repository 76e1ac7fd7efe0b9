//! An error before the acknowledgement: the same record comes again, and nothing is lost.

use std::time::Duration;

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::coupon::{Crowd, Patience};

use crate::campaign::Campaign;
use crate::outlet::SOON;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_being_handled_at_a_kill_comes_again_and_nothing_is_lost() -> Result<()> {
    let scenario = Scenario::shared().await?;
    let campaign = Campaign::open(scenario, 40, |options| {
        // Long enough for it to be killed between two attempts.
        options
            .with("PARTITIONS", "1")
            .with("RETRY_DELAY", "1h")
            .with("FAIL_ODD", "true")
    })
    .await?;
    let service = campaign.serve().await?;
    Crowd::apply(service.address(), 1..=40, Patience::None).await?;
    service
        .until_status("/campaign/coupons", |coupons| coupons == 20, SOON)
        .await?;
    // Of one partition, read without a gap: what is held is not done, whatever behind it is.
    service
        .until_status("/requests/held", |held| held >= 20, SOON)
        .await?;
    service.kill_9().await?;

    let fixed = campaign.options.clone().with("FAIL_ODD", "false");
    let service = fixed.start(campaign.scenario.log()).await?;
    service
        .until_status("/campaign/coupons", |coupons| coupons == 40, SOON)
        .await?;
    let status = service.status().await?;
    ensure!(status["requests"]["dead_letters"] == 0, "{status}");
    ensure!(status["campaign"]["rescued"] == 0, "{status}");
    // What was done before the kill is done again without effect.
    service
        .until_status("/requests/succeeded", |now| now >= 20, SOON)
        .await?;
    ensure!(campaign.coupons().await?.len() == 40);
    service.sigterm(Duration::from_secs(30)).await?;
    Ok(())
}
