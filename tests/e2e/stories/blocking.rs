//! Blocking retries, then a dead letter; those behind in the partition are not lost.

use std::time::Duration;

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::coupon::{Crowd, Patience};

use crate::campaign::Campaign;
use crate::outlet::{SOON, first_records_of};

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_is_tried_three_times_in_its_place_and_those_behind_it_pass() -> Result<()> {
    let scenario = Scenario::shared().await?;
    let campaign = Campaign::open(scenario, 50, |options| {
        options
            .with("PARTITIONS", "1")
            .with("RETRY_DELAY", "2s")
            .with("FAIL_ODD", "true")
    })
    .await?;
    let service = campaign.serve().await?;
    let odd_first = [1, 3, 5].into_iter().chain((2..=40).step_by(2));
    Crowd::apply(service.address(), odd_first, Patience::None).await?;
    // The last of those behind is done while the first still waits for its second attempt.
    service
        .until_status("/campaign/coupons", |coupons| coupons == 20, SOON)
        .await?;
    let status = service.status().await?;
    ensure!(status["requests"]["dead_letters"] == 0, "{status}");

    service
        .until_status("/requests/dead_letters", |letters| letters == 3, SOON)
        .await?;
    let letters = first_records_of(&campaign.scenario, &campaign.options.dead_letters(), 3).await?;
    for letter in &letters {
        ensure!(
            letter.header_bytes("cdc-attempts") == Some(&3_u32.to_be_bytes()),
            "{letter:?}"
        );
        ensure!(
            letter.header("cdc-error-code") == Some("coupon-printer"),
            "{letter:?}"
        );
        let topic = letter.header("kafka_dlt-original-topic");
        ensure!(topic == Some(&*campaign.options.topic()), "{letter:?}");
        let stack = letter
            .header("kafka_dlt-exception-stacktrace")
            .unwrap_or_default();
        ensure!(stack.contains("FAIL_ODD is on"), "{stack}");
    }
    // The handler of dead letters can do what that of the requests could not.
    service
        .until_status("/campaign/rescued", |coupons| coupons == 3, SOON)
        .await?;
    let why = campaign
        .texts("SELECT DISTINCT rescued_from FROM coupon.coupon WHERE user_id % 2 = 1")
        .await?;
    ensure!(why == ["the coupon cannot be printed"], "{why:?}");
    service.sigterm(Duration::from_secs(30)).await?;
    Ok(())
}
