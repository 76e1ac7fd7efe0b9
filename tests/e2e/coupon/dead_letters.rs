//! Who fails: dead letters, their handler, the store, and the replay after the fix.

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::coupon::{Crowd, Patience, Switch};

use crate::campaign::Campaign;
use crate::outlet::SOON;

#[tokio::test(flavor = "multi_thread")]
async fn odd_users_become_dead_letters_then_failed_events_then_coupons_by_a_replay() -> Result<()> {
    let scenario = Scenario::shared().await?;
    let mut campaign = Campaign::open(scenario, 20, |options| {
        options.with("FAIL_ODD", "true").with("FAIL_DLT", "true")
    })
    .await?;
    campaign.collect()?;
    let service = campaign.serve().await?;
    let crowd = Crowd::apply(service.address(), 1..=20, Patience::None).await?;
    let numbers = crowd.numbers()?;
    ensure!(numbers.len() == 20, "{crowd:?}");
    campaign.until_open(10).await?;
    let coupons = campaign.coupons().await?;
    let even: Vec<_> = coupons.keys().copied().collect();
    ensure!(even == (2..=20).step_by(2).collect::<Vec<_>>(), "{even:?}");

    // Before the fix a replay brings nothing but one more attempt.
    campaign.command("recover replay --key 7").await?;
    let again = "SELECT count(*) FROM cdc.failed_event WHERE status = 'open' AND convert_from(key, 'utf8') = '7' \
                 AND attempts > 3";
    campaign.until_count(again, 1).await?;

    service.fail(Switch::DeadLetters, false).await?;
    let told = campaign.command("recover replay --all").await?;
    ensure!(told.contains("10 events replayed"), "{told}");
    service
        .until_status("/campaign/coupons", |coupons| coupons == 20, SOON)
        .await?;
    ensure!(campaign.coupons().await? == numbers, "not as promised");
    let statuses = campaign.texts("SELECT DISTINCT status FROM cdc.failed_event");
    ensure!(statuses.await? == ["replayed"]);
    service.sigterm(SOON).await?;
    Ok(())
}
