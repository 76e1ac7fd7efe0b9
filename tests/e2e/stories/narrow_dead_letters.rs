//! A topic of dead letters that has fewer partitions than its source.

use std::time::Duration;

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::coupon::{Crowd, Patience, Switch};

use crate::campaign::Campaign;
use crate::outlet::SOON;

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_of_five_partitions_fit_into_two_and_come_back_to_their_own() -> Result<()> {
    let scenario = Scenario::shared().await?;
    let mut campaign = Campaign::open(scenario, 40, |options| {
        options
            .with("PARTITIONS", "5")
            .with("FAIL_ODD", "true")
            .with("FAIL_DLT", "true")
    })
    .await?;
    let letters = campaign.options.dead_letters();
    campaign.make_topic(&letters, 2).await?;
    campaign.collect()?;
    let service = campaign.serve().await?;
    Crowd::apply(service.address(), 1..=40, Patience::None).await?;
    campaign.until_open(20).await?;
    ensure!(campaign.records_in(&letters)? == 20);
    let partitions = campaign
        .texts("SELECT DISTINCT origin_partition::text FROM cdc.failed_event ORDER BY 1")
        .await?;
    ensure!(partitions == ["0", "1"], "{partitions:?}");

    service.fail(Switch::DeadLetters, false).await?;
    campaign.command("recover replay --all").await?;
    service
        .until_status("/campaign/coupons", |coupons| coupons == 40, SOON)
        .await?;
    campaign.until_open(0).await?;
    service.sigterm(Duration::from_secs(30)).await?;
    Ok(())
}
