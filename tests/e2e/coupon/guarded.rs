//! The service sends its events itself (`MODE=guarded`): Kafka is away, or the service dies before it has sent.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::coupon::{Answer, CouponOptions};
use cdc_e2e::services::Component;

use crate::campaign::Campaign;
use crate::outlet::SOON;

/// How long a user waits at most, whatever Kafka does: half a second, and the rest for a machine that has a lot to do.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Events that were stored for the relay.
const STORED: &str = "SELECT count(*) FROM cdc.outbox WHERE aggregatetype = 'coupon-create'";

#[tokio::test(flavor = "multi_thread")]
async fn while_kafka_is_down_users_are_accepted_at_once_and_get_their_coupons_when_it_is_back()
-> Result<()> {
    let scenario = Scenario::private(&[Component::Kafka]).await?;
    // A member with a name may have to be started again after an outage: a commit that was under way for longer than its
    // session is refused as another member's.
    let campaign = Campaign::open(scenario, 21, |options| options.guarded().nameless()).await?;
    let servers = campaign.scenario.servers()?;
    let service = campaign.serve().await?;
    service.until_events_go("direct", SOON).await?;
    ensure!(service.apply(1).await? == Answer::Accepted(1));
    let coupons = |wanted| move |coupons| coupons == wanted;
    service
        .until_status("/campaign/coupons", coupons(1), SOON)
        .await?;
    ensure!(campaign.count(STORED).await? == 0, "not sent directly");

    servers.kill(Component::Kafka).await?;
    for user in 2..=20 {
        let asked = Instant::now();
        let answer = service.apply(user).await?;
        ensure!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
        ensure!(answer == Answer::Accepted(user), "{answer:?}");
    }
    // Users who cannot wait make no more events, and reconciliation makes none either.
    ensure!(service.apply(2).await? == Answer::AlreadyApplied(2));
    let report = campaign.options.reconcile().await?;
    ensure!(report["announced"] == 19, "{report:?}");
    let stored = campaign.count(STORED).await?;
    ensure!(stored == 19, "{stored} stored");
    ensure!(service.status().await?["events"] == "outbox");

    servers.start_again(Component::Kafka).await?;
    service
        .until_status("/campaign/coupons", coupons(20), SOON)
        .await?;
    service.until_events_go("direct", SOON).await?;
    let log = campaign.scenario.log();
    ensure!(log.contains("events go to the outbox: no Kafka broker can be reached"));
    ensure!(log.contains("events go to Kafka directly again"));
    ensure!(service.apply(21).await? == Answer::Accepted(21));
    service
        .until_status("/campaign/coupons", coupons(21), SOON)
        .await?;
    ensure!(campaign.count(STORED).await? == 19, "not sent directly");
    let given = campaign.coupons().await?;
    let promised = (1..=21).map(|number| (number, number)).collect();
    ensure!(given == promised, "{given:?}");
    service.sigterm(SOON).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_commit_and_send_costs_neither_the_coupon_nor_the_applicant() -> Result<()>
{
    let campaign = Campaign::open(Scenario::shared().await?, 3, CouponOptions::guarded).await?;
    let dying = campaign.options.clone().with("CRASH_AFTER", "commit");
    for user in [1, 2] {
        let service = dying.start(campaign.scenario.log()).await?;
        ensure!(service.apply(user).await.is_err(), "it has answered");
        let ended = service.exit(SOON).await?;
        ensure!(!ended.success(), "{ended}");
    }
    let recorded = campaign.count("SELECT count(*) FROM coupon.application");
    ensure!(recorded.await? == 2, "not recorded");
    let sent = campaign.records_in(&campaign.options.topic())?;
    let stored = campaign.count(STORED).await?;
    ensure!((sent, stored) == (0, 0), "{sent} sent, {stored} stored");

    // The first user comes again; the second never does.
    let service = campaign.serve().await?;
    ensure!(service.apply(1).await? == Answer::AlreadyApplied(1));
    service
        .until_status("/campaign/coupons", |coupons| coupons == 1, SOON)
        .await?;
    let report = campaign.options.reconcile().await?;
    let found = (report["announced"], report["completed"]);
    ensure!(found == (1, 0), "{report:?}");
    service
        .until_status("/campaign/coupons", |coupons| coupons == 2, SOON)
        .await?;

    // Who has a coupon is not announced any more.
    let report = campaign.options.reconcile().await?;
    ensure!(report["announced"] == 0, "{report:?}");
    let coupons = campaign.coupons().await?;
    ensure!(coupons == [(1, 1), (2, 2)].into(), "{coupons:?}");
    service.sigterm(SOON).await?;
    Ok(())
}
