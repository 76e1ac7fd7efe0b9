//! Dead letters that are called `-dlq`; what their handler cannot do is in the database, and is done by hand.

use std::time::Duration;

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::coupon::Switch;

use crate::campaign::Campaign;
use crate::outlet::SOON;

#[tokio::test(flavor = "multi_thread")]
async fn a_dlq_with_three_at_a_time_leaves_its_failures_in_the_database_to_be_done_one_by_one()
-> Result<()> {
    let scenario = Scenario::shared().await?;
    let mut campaign = Campaign::open(scenario, 20, |options| {
        options
            .with("DEAD_LETTER", "{topic}-dlq")
            .with("DLT_CONCURRENCY", "3")
            .with("FAIL_ODD", "true")
            .with("FAIL_DLT", "true")
    })
    .await?;
    ensure!(
        campaign
            .options
            .dead_letters()
            .ends_with("coupon-create-dlq")
    );
    campaign.collect()?;
    let service = campaign.serve().await?;
    for user in (1..=11).step_by(2) {
        service.apply(user).await?;
    }
    campaign.until_open(6).await?;
    service.fail(Switch::DeadLetters, false).await?;

    let id = "SELECT id::text FROM cdc.failed_event WHERE convert_from(key, 'utf8') = '5'";
    let id = campaign.texts(id).await?.concat();
    let shown = campaign.command(&format!("recover show {id}")).await?;
    ensure!(shown.contains("coupon-create-dlq"), "{shown}");
    campaign.command(&format!("recover replay {id}")).await?;
    service
        .until_status("/campaign/coupons", |coupons| coupons == 1, SOON)
        .await?;
    ensure!(campaign.coupons().await?.contains_key(&5));
    campaign.until_open(5).await?;

    campaign.command("recover replay --all").await?;
    service
        .until_status("/campaign/coupons", |coupons| coupons == 6, SOON)
        .await?;
    campaign.until_open(0).await?;
    service.sigterm(Duration::from_secs(30)).await?;
    Ok(())
}
