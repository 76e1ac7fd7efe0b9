//! First-come coupons: never more than there are, one for each user, whatever is killed or forgotten on the way.

mod crashes;
mod dead_letters;
mod guarded;

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::coupon::{Crowd, Patience};

use crate::campaign::Campaign;
use crate::heavy;
use crate::outlet::SOON;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_applicants_get_the_hundred_coupons_that_there_are() -> Result<()> {
    let _turn = heavy::turn().await;
    let campaign = Campaign::open(Scenario::shared().await?, 100, |options| options).await?;
    let service = campaign.serve().await?;
    let crowd = Crowd::apply(service.address(), 1..=10_000, Patience::None).await?;
    let numbers = crowd.numbers()?;
    ensure!(crowd.sold_out() == 9_900, "{} left", crowd.sold_out());
    let mut given: Vec<_> = numbers.values().copied().collect();
    given.sort_unstable();
    ensure!(given == (1..=100).collect::<Vec<_>>(), "{given:?}");
    service
        .until_status("/campaign/coupons", |coupons| coupons == 100, SOON)
        .await?;
    ensure!(campaign.coupons().await? == numbers, "not as promised");
    service.sigterm(SOON).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_applies_again_and_again_has_one_number_and_one_coupon() -> Result<()> {
    let _turn = heavy::turn().await;
    let campaign = Campaign::open(Scenario::shared().await?, 30, |options| options).await?;
    let service = campaign.serve().await?;
    // All at once: 20 requests of each of 50.
    let users = (1..=20).flat_map(|_| 1..=50);
    let crowd = Crowd::apply(service.address(), users, Patience::None).await?;
    let numbers = crowd.numbers()?;
    ensure!(numbers.len() == 30, "{numbers:?}");
    service
        .until_status("/campaign/coupons", |coupons| coupons == 30, SOON)
        .await?;
    let again = Crowd::apply(service.address(), 1..=50, Patience::None).await?;
    ensure!(again.numbers()? == numbers, "{again:?}");
    ensure!(again.sold_out() == 20, "{again:?}");
    ensure!(campaign.coupons().await? == numbers, "not as promised");
    service.sigterm(SOON).await?;
    Ok(())
}
