//! An event whose handler needs a value that is not there yet: tried again until it is.

use std::time::Duration;

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;

use crate::campaign::Campaign;
use crate::outlet::SOON;

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_handled_when_the_value_that_it_needs_has_arrived() -> Result<()> {
    let scenario = Scenario::shared().await?;
    let campaign = Campaign::open(scenario, 10, |options| {
        options
            .with("DISCOUNT", "0")
            .with("RETRIES", "0")
            .with("RETRY_TIERS", "200ms,400ms,800ms,1s,2s,4s,8s,16s")
    })
    .await?;
    let service = campaign.serve().await?;
    service.apply(1).await?;
    service.apply(2).await?;
    // Both have been tried, and wait.
    service
        .until_status("/requests/retried", |retried| retried >= 4, SOON)
        .await?;
    ensure!(
        campaign.coupons().await?.is_empty(),
        "a coupon without a value"
    );
    service.decide_discount(35).await?;
    service
        .until_status("/campaign/coupons", |coupons| coupons == 2, SOON)
        .await?;
    let worth = campaign
        .count("SELECT sum(discount) FROM coupon.coupon")
        .await?;
    ensure!(worth == 70, "{worth}");
    let status = service.status().await?;
    ensure!(status["requests"]["dead_letters"] == 0, "{status}");
    service.sigterm(Duration::from_secs(30)).await?;
    Ok(())
}
