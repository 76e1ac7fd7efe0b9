//! What dies, or forgets, in the middle of it.

use std::time::Duration;

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::coupon::{Answer, Crowd, Patience};
use cdc_e2e::services::Component;

use crate::campaign::Campaign;
use crate::heavy;
use crate::outlet::SOON;

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_redis_and_the_database_costs_neither_the_number_nor_the_applicant()
-> Result<()> {
    let campaign = Campaign::open(Scenario::shared().await?, 3, |options| options).await?;
    let dying = campaign.options.clone().with("CRASH_AFTER", "redis");
    for user in [1, 2] {
        let service = dying.start(campaign.scenario.log()).await?;
        ensure!(service.apply(user).await.is_err(), "it has answered");
        let ended = service.exit(SOON).await?;
        ensure!(!ended.success(), "{ended}");
    }
    let none = campaign.count("SELECT count(*) FROM coupon.application");
    ensure!(none.await? == 0, "something was written down");

    let service = campaign.serve().await?;
    let others = [
        service.apply(3).await?,
        service.apply(4).await?,
        service.apply(1).await?,
        service.apply(1).await?,
    ];
    let expected = [
        Answer::Accepted(3),
        Answer::SoldOut,
        Answer::Accepted(1),
        Answer::AlreadyApplied(1),
    ];
    ensure!(others == expected, "{others:?}");

    // The second user never came back.
    let report = campaign.options.reconcile().await?;
    ensure!(report["completed"] == 1, "{report:?}");
    ensure!(report["tickets left"] == 0, "{report:?}");
    let report = campaign.options.reconcile().await?;
    ensure!(report["completed"] == 0, "{report:?}");
    ensure!(service.apply(2).await? == Answer::AlreadyApplied(2));
    service
        .until_status("/campaign/coupons", |coupons| coupons == 3, SOON)
        .await?;
    let coupons = campaign.coupons().await?;
    ensure!(coupons == [(1, 1), (2, 2), (3, 3)].into(), "{coupons:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_that_redis_forgot_and_gave_again_is_found_out() -> Result<()> {
    let scenario = Scenario::private(&[Component::Redis]).await?;
    let campaign = Campaign::open(scenario, 4, |options| options).await?;
    let servers = campaign.scenario.servers()?;
    let dying = campaign.options.clone().with("CRASH_AFTER", "redis");
    // Users 1 and 2 hold tickets 1 and 2; of the second nobody else knows.
    let service = campaign.serve().await?;
    ensure!(service.apply(1).await? == Answer::Accepted(1));
    service.sigterm(SOON).await?;
    let service = dying.start(campaign.scenario.log()).await?;
    service.apply(2).await.err();
    service.exit(SOON).await?;
    servers.kill(Component::Redis).await?;
    servers.start_again(Component::Redis).await?;

    // It comes back empty: the next user gets what was user 2's.
    let service = campaign.serve().await?;
    ensure!(service.apply(3).await? == Answer::Accepted(2));
    ensure!(service.apply(1).await? == Answer::AlreadyApplied(1));
    ensure!(service.apply(2).await? == Answer::Accepted(3));
    // And once more, while it serves.
    servers.kill(Component::Redis).await?;
    servers.start_again(Component::Redis).await?;
    let crowd = Crowd::apply(service.address(), 1..=6, Patience::Endless).await?;
    let numbers = crowd.numbers()?;
    ensure!(numbers.len() == 4 && crowd.sold_out() == 2, "{crowd:?}");
    for (user, number) in [(1, 1), (3, 2), (2, 3)] {
        ensure!(numbers[&user] == number, "{numbers:?}");
    }
    service
        .until_status("/campaign/coupons", |coupons| coupons == 4, SOON)
        .await?;
    ensure!(campaign.coupons().await? == numbers, "not as promised");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_users_with_the_same_ticket_one_keeps_it_and_the_other_gets_the_next() -> Result<()>
{
    let scenario = Scenario::private(&[Component::Redis]).await?;
    let campaign = Campaign::open(scenario, 3, |options| options).await?;
    let servers = campaign.scenario.servers()?;
    let (one, other) = tokio::try_join!(campaign.serve(), async {
        let options = campaign.options.another_instance()?;
        options.start(campaign.scenario.log()).await
    })?;
    let blocked = "SELECT count(*) FROM pg_locks JOIN pg_database AS d ON d.oid = database
                    WHERE NOT granted AND d.datname = current_database()";
    let session = campaign.scenario.database().session().await?;
    session
        .batch_execute("BEGIN; LOCK TABLE coupon.application IN SHARE MODE")
        .await?;
    // The first user holds ticket 1, and PostgreSQL cannot be told yet when Redis forgets it.
    let first = Crowd::apply(one.address(), [1], Patience::Endless);
    let (first, second) = tokio::join!(first, async {
        campaign.until_count(blocked, 1).await?;
        servers.kill(Component::Redis).await?;
        servers.start_again(Component::Redis).await?;
        let (second, unlocked) = tokio::join!(
            Crowd::apply(other.address(), [2], Patience::Endless),
            async {
                campaign.until_count(blocked, 2).await?;
                anyhow::Ok(session.batch_execute("COMMIT").await?)
            }
        );
        unlocked?;
        second
    });
    let (first, second) = (first?.numbers()?, second?.numbers()?);
    // The lock lets both go on at once: it may be either who comes first.
    let [first_keeps_it, second_keeps_it] = [[1, 2], [2, 1]].map(|[first_has, second_has]| {
        first == [(1, first_has)].into() && second == [(2, second_has)].into()
    });
    ensure!(first_keeps_it || second_keeps_it, "{first:?}, {second:?}");
    ensure!(other.apply(3).await? == Answer::Accepted(3));
    ensure!(one.apply(4).await? == Answer::SoldOut);
    one.until_status("/campaign/coupons", |coupons| coupons == 3, SOON)
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_never_more_coupons_than_the_limit_whatever_is_killed_and_replayed() -> Result<()>
{
    const USERS: i64 = 3_000;
    const COUPONS: i64 = 2_000;
    let _turn = heavy::turn().await;
    let scenario = Scenario::private(&[Component::Redis]).await?;
    let mut campaign = Campaign::open(scenario, 2_000, |options| options).await?;
    campaign.collect()?;
    let service = campaign.serve().await?;
    let address = service.address();
    let rush = async {
        // Nobody waits for anybody else: each user tries until there is an answer.
        Crowd::apply(address, 1..=USERS, Patience::Endless).await
    };
    let faults = async {
        let servers = campaign.scenario.servers()?;
        let some = |applications: i64| move |now| now >= applications;
        service
            .until_status("/campaign/applications", some(200), SOON)
            .await?;
        service.kill_9().await?;
        let service = campaign.serve().await?;
        service
            .until_status("/campaign/applications", some(700), SOON)
            .await?;
        servers.kill(Component::Redis).await?;
        servers.start_again(Component::Redis).await?;
        service
            .until_status("/campaign/applications", some(1_200), SOON)
            .await?;
        service.kill_9().await?;
        servers.kill(Component::Redis).await?;
        servers.start_again(Component::Redis).await?;
        campaign.serve().await
    };
    let (crowd, service) = tokio::join!(rush, faults);
    let (crowd, service) = (crowd?, service?);
    let report = campaign.options.reconcile().await?;
    ensure!(report["applications"] == COUPONS, "{report:?}");
    let all = |coupons| coupons == COUPONS;
    service.until_status("/campaign/coupons", all, SOON).await?;

    // Every event once more, and two that somebody made up: beyond the limit, and with a number that is another's.
    let before = service.status().await?["requests"]["succeeded"].as_i64();
    let before = before.unwrap_or_default();
    let session = campaign.scenario.database().session().await?;
    session
        .batch_execute(
            "SELECT cdc.emit('coupon-create', user_id::text, 'CouponRequested',
                             json_build_object('userId', user_id, 'sequence', sequence))
               FROM coupon.application;
             SELECT cdc.emit('coupon-create', u::text, 'CouponRequested',
                             json_build_object('userId', u, 'sequence', s))
               FROM (VALUES (100001, 2001), (100002, 7)) AS made_up (u, s)",
        )
        .await?;
    campaign.until_open(2).await?;
    service
        .until_status("/requests/succeeded", |now| now >= before + COUPONS, SOON)
        .await?;
    let coupons = campaign.coupons().await?;
    let mut given: Vec<_> = coupons.values().copied().collect();
    given.sort_unstable();
    ensure!(given == (1..=COUPONS).collect::<Vec<_>>(), "{given:?}");
    for (user, number) in crowd.numbers()? {
        ensure!(coupons.get(&user) == Some(&number), "user {user}");
    }
    // What was made up stays so, however often it is replayed.
    campaign.command("recover replay --all").await?;
    let again = "SELECT count(*) FROM cdc.failed_event WHERE status = 'open' AND attempts > 1";
    campaign.until_count(again, 2).await?;
    ensure!(campaign.coupons().await? == coupons, "coupons have changed");
    service.sigterm(Duration::from_secs(30)).await?;
    Ok(())
}
