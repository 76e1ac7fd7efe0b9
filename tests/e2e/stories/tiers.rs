//! Retry topics 1 to 4, then a dead letter; those that do not fail do not wait for it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::coupon::CouponService;

use crate::campaign::Campaign;
use crate::heavy;
use crate::outlet::SOON;

/// Requests in one batch that do not fail, and as many more in the second that do.
const BATCH: i64 = 1_500;

/// Applications of `count` users from `first` on, `step` apart, all committed at once.
async fn commit(campaign: &Campaign, first: i64, step: i64, count: i64) -> Result<()> {
    let sql = format!(
        "WITH next AS (SELECT coalesce(max(sequence), 0) AS number FROM coupon.application),
              applications AS (
                  INSERT INTO coupon.application (user_id, sequence)
                  SELECT {first} + {step} * n, number + n + 1 FROM next, generate_series(0, {count} - 1) AS n
                  RETURNING user_id, sequence)
         SELECT cdc.emit('coupon-create', user_id::text, 'CouponRequested',
                         json_build_object('userId', user_id, 'sequence', sequence))
           FROM applications"
    );
    let session = campaign.scenario.database().session().await?;
    session.execute(&sql, &[]).await?;
    Ok(())
}

/// The time until so many coupons are issued.
async fn time_to(service: &CouponService, coupons: i64) -> Result<Duration> {
    let started = Instant::now();
    service
        .until_status("/campaign/coupons", |now| now >= coupons, SOON)
        .await?;
    Ok(started.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_fail_go_through_four_retry_topics_while_the_others_keep_their_pace()
-> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = Scenario::shared().await?;
    let campaign = Campaign::open(scenario, 20_000, |options| {
        options
            .with("RETRIES", "0")
            .with("RETRY_TIERS", "300ms,600ms,900ms,1200ms")
            .with("FAIL_ODD", "true")
    })
    .await?;
    let service = campaign.serve().await?;
    commit(&campaign, 2, 2, 100).await?;
    time_to(&service, 100).await?;

    commit(&campaign, 1_000_000, 2, BATCH).await?;
    let alone = time_to(&service, 100 + BATCH).await?;
    // Half of these fail. Each would hold its place for 3 s if it waited there: 1,500 of them in 64 places for a minute.
    commit(&campaign, 2_000_000, 1, 2 * BATCH).await?;
    let beside_failures = time_to(&service, 100 + 2 * BATCH).await?;
    let limit = 4 * alone + Duration::from_secs(2);
    ensure!(
        beside_failures < limit,
        "{beside_failures:?} beside those that fail, {alone:?} without"
    );

    let retried = |retried| retried == 4 * BATCH;
    service
        .until_status("/requests/retried", retried, SOON)
        .await?;
    let dead = |letters| letters == BATCH;
    service
        .until_status("/requests/dead_letters", dead, SOON)
        .await?;
    let name = campaign.scenario.database().name();
    for tier in 1..=4 {
        let topic = format!("{}.{name}.retry-{tier}", campaign.options.topic());
        let records = campaign.records_in(&topic)?;
        ensure!(records == BATCH, "{records} in {topic}");
    }
    let rescued = |coupons| coupons == BATCH;
    service
        .until_status("/campaign/rescued", rescued, SOON)
        .await?;
    ensure!(campaign.records_in(&campaign.options.dead_letters())? == BATCH);
    service.sigterm(Duration::from_secs(30)).await?;
    Ok(())
}
