//! The relay's memory in Kafka: never behind the slot, and what it covers is not sent again.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cdc_e2e::consumer::Isolation;
use cdc_e2e::database::Lsn;
use cdc_e2e::random;
use cdc_e2e::services::Component;
use cdc_e2e::stopwatch::Phase;
use cdc_e2e::workload::{Load, Mix, Pace};
use cdc_e2e::{Delivery, Scenario};

use crate::heavy;
use crate::outlet::{emit, id, ids_until, one_topic};

const SOON: Duration = Duration::from_secs(90);

/// Were it otherwise, a crash between the two would look like a slot that somebody has moved.
async fn the_slot_is_never_ahead_of_the_checkpoint(delivery: Delivery) -> Result<()> {
    const KILLS: usize = 4;
    const LOOKS: usize = 8;
    let _turn = heavy::turn().await;
    let scenario = Scenario::shared().await?.delivering(delivery);
    let (database, checkpoints) = (scenario.database(), scenario.checkpoints());
    let consumer = scenario.consumer()?;
    let writers = scenario.writers(2, random::entropy());
    let load = Load::start(writers, Mix::Everything, Pace(1_000), Phase::Rough);
    let first = database.slot().await?.confirmed;
    for _ in 0..KILLS {
        let relay = scenario.relay().await?;
        scenario.journal().flows_again(Instant::now(), SOON).await?;
        for _ in 0..LOOKS {
            let confirmed = database.slot().await?.confirmed;
            // The mark that makes a record a committed one may come a little later than the commit itself.
            let noted = checkpoints.newest(Isolation::Everything).await?;
            ensure!(
                noted >= Some(confirmed),
                "{confirmed} is confirmed, {noted:?} was noted"
            );
        }
        relay.kill_9().await?;
        // Nobody is left who could note anything.
        let confirmed = database.slot().await?.confirmed;
        checkpoints.reach(confirmed, SOON).await?;
    }
    ensure!(
        database.slot().await?.confirmed > first,
        "nothing was ever confirmed"
    );
    let noted = checkpoints.all(Isolation::Committed).await?;
    ensure!(noted.is_sorted(), "a checkpoint went back: {noted:?}");
    load.stop().await?;
    let _relay = scenario.relay().await?;
    consumer.finish(SOON).await?.require_clean()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_slot_is_never_ahead_of_the_checkpoint_with_exactly_once() -> Result<()> {
    the_slot_is_never_ahead_of_the_checkpoint(Delivery::ExactlyOnce).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_slot_is_never_ahead_of_the_checkpoint_with_at_least_once() -> Result<()> {
    the_slot_is_never_ahead_of_the_checkpoint(Delivery::AtLeastOnce).await
}

/// PostgreSQL writes a slot's position to disk only now and then: after a crash it may stand far back.
async fn a_slot_that_a_crash_of_postgres_puts_back_repeats_nothing(
    delivery: Delivery,
) -> Result<()> {
    const EVENTS: u32 = 1_000;
    let _turn = heavy::turn().await;
    let scenario = Scenario::private(&[Component::Postgres]).await?;
    let scenario = scenario.delivering(delivery);
    let database = scenario.database();
    let consumer = scenario.consumer()?;
    let relay = scenario.relay().await?;
    let mut writer = scenario.writer();
    writer
        .write_mix(Mix::Everything, EVENTS, Phase::Rough)
        .await?;
    scenario.journal().all_received(SOON).await?;
    relay.sigterm(SOON).await?;
    let left = database.changes_left(SOON).await?;
    ensure!(left == 0, "{left} events are not confirmed");
    scenario.servers()?.stop_postgres_immediately().await?;
    scenario.servers()?.start_again(Component::Postgres).await?;
    let left = database.changes_left(SOON).await?;
    ensure!(
        left >= i64::from(EVENTS),
        "only {left} events were put back"
    );

    let relay = scenario.relay().await?;
    writer.write_mix(Mix::SingleRows, 10, Phase::Rough).await?;
    let verdict = consumer.finish(SOON).await?;
    ensure!(verdict.duplicates == 0, "{verdict}");
    let suppressed = relay
        .admin()
        .metric("cdc_relay_duplicates_suppressed_total")
        .await?;
    ensure!(suppressed > 0.0, "nothing was sent again by the server");
    verdict.require_clean()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_a_crash_of_postgres_puts_back_repeats_nothing_with_exactly_once() -> Result<()>
{
    a_slot_that_a_crash_of_postgres_puts_back_repeats_nothing(Delivery::ExactlyOnce).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_a_crash_of_postgres_puts_back_repeats_nothing_with_at_least_once() -> Result<()>
{
    a_slot_that_a_crash_of_postgres_puts_back_repeats_nothing(Delivery::AtLeastOnce).await
}

/// The events whose commit ended before the checkpoint are in Kafka once, even if the slot has forgotten them all.
#[tokio::test(flavor = "multi_thread")]
async fn at_least_once_repeats_nothing_that_the_checkpoint_covers() -> Result<()> {
    const EVENTS: u32 = 2_000;
    let _turn = heavy::turn().await;
    let scenario = one_topic(Scenario::private(&[Component::Postgres]).await?)
        .delivering(Delivery::AtLeastOnce);
    let database = scenario.database();
    let relay = scenario.relay().await?;
    let session = database.session().await?;
    let mut ends = HashMap::new();
    for n in 1..=EVENTS {
        session.batch_execute(&emit(n)).await?;
        ends.insert(id(n), session.current_lsn().await?);
    }
    relay.kill_9().await?;
    let noted = scenario.checkpoints().newest(Isolation::Committed).await?;
    let noted = noted.context("no checkpoint")?;
    let covered = ends.values().filter(|&&end| end <= noted).count();
    ensure!(covered > 0, "the checkpoint at {noted} covers nothing");
    scenario.servers()?.stop_postgres_immediately().await?;
    scenario.servers()?.start_again(Component::Postgres).await?;
    let left = database.changes_left(SOON).await?;
    ensure!(
        left == i64::from(EVENTS),
        "the slot was not put back: {left} events left"
    );

    let _relay = scenario.relay().await?;
    let last = id(EVENTS + 1);
    database
        .session()
        .await?
        .batch_execute(&emit(EVENTS + 1))
        .await?;
    let mut seen: HashMap<String, u32> = HashMap::new();
    for id in ids_until(&scenario, &last).await? {
        *seen.entry(id).or_default() += 1;
    }
    ensure!(
        seen.len() == ends.len() + 1,
        "{} of {} events",
        seen.len(),
        ends.len() + 1
    );
    let repeated: Vec<(&String, Lsn)> = ends
        .iter()
        .filter(|&(id, &end)| end <= noted && seen[id] > 1)
        .map(|(id, &end)| (id, end))
        .collect();
    ensure!(
        repeated.is_empty(),
        "repeated although covered by the checkpoint at {noted}: {repeated:?}"
    );
    Ok(())
}

/// Otherwise a slot that moves without events would be ahead of the checkpoint.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_outbox_moves_its_checkpoint_too_in_either_mode() -> Result<()> {
    for delivery in Delivery::ALL {
        let scenario = Scenario::shared().await?.delivering(delivery);
        let (database, checkpoints) = (scenario.database(), scenario.checkpoints());
        let mut relay = scenario.relay().await?;
        let busy = database.write_elsewhere(1_000).await?;
        database.confirmed_past(busy, SOON).await?;
        checkpoints.reach(busy, SOON).await?;
        // And a start right after that finds no gap.
        relay.kill_9().await?;
        relay = scenario.relay().await?;
        relay.sigterm(SOON).await?;
    }
    Ok(())
}
