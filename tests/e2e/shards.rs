//! An outbox that several slots share: each event once, in order per key, also while their number changes.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cdc_e2e::stopwatch::Phase;
use cdc_e2e::wait::{Look, until};
use cdc_e2e::workload::{Entry, Load, Mix, Pace, Transaction};
use cdc_e2e::{Delivery, Scenario, random};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::heavy;

const SOON: Duration = Duration::from_secs(90);

fn load(scenario: &Scenario) -> Load {
    let writers = scenario.writers(2, random::entropy());
    Load::start(writers, Mix::Everything, Pace(500), Phase::Rough)
}

/// Changes the number of shards, killed each time that it has said a line more than the last time.
async fn reshard_with_kills(scenario: &Scenario, to: u8) -> Result<u32> {
    for lines in 1.. {
        let command = scenario.command(&format!("reshard --to {to}"))?;
        let mut child = Command::from(command)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut said = BufReader::new(child.stdout.take().context("piped")?).lines();
        let mut last = String::new();
        for _ in 0..lines {
            match said.next_line().await? {
                Some(line) => last = line,
                None => break,
            }
        }
        if last.starts_with("done") {
            ensure!(child.wait().await?.success(), "it did not end well");
            return Ok(lines);
        }
        child.start_kill()?;
        let output = child.wait_with_output().await?;
        let failed = output.status.code().is_some();
        let report = String::from_utf8_lossy(&output.stderr);
        ensure!(!failed, "after {lines} lines: {report}");
        nobody_streams(scenario).await?;
    }
    unreachable!("the range has no end")
}

/// PostgreSQL notices only after a while that a client is gone, and may begin to stream for it before that.
async fn nobody_streams(scenario: &Scenario) -> Result<()> {
    let session = scenario.database().session().await?;
    let query = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender' AND datname = current_database()";
    until(SOON, "nobody to stream", async || {
        let active: i64 = session.query_one(query, &[]).await?.get(0);
        Ok(Look::when(active == 0, active))
    })
    .await
}

/// Relays under load for a while, then changes the number of shards while the load goes on.
async fn relay_then_reshard(scenario: Scenario, to: u8, kills: bool) -> Result<Scenario> {
    let relay = scenario.relay().await?;
    scenario.journal().flows_again(Instant::now(), SOON).await?;
    let exit = relay.sigterm(SOON).await?;
    ensure!(
        exit.status.success(),
        "the relay ended with {}",
        exit.status
    );
    if !kills {
        return resharded(scenario, to).await;
    }
    let runs = reshard_with_kills(&scenario, to).await?;
    ensure!(runs > 4, "it was not interrupted often");
    Ok(scenario.with("CDC_RELAY__SHARDS", to.to_string()))
}

async fn each_event_once(delivery: Delivery, kills: bool) -> Result<()> {
    let _turn = heavy::turn().await;
    let mut scenario = Scenario::shared().await?.delivering(delivery);
    let consumer = scenario.consumer()?;
    let load = load(&scenario);
    for to in [2, 3, 1] {
        scenario = relay_then_reshard(scenario, to, kills).await?;
    }
    let relay = scenario.relay().await?;
    scenario.journal().flows_again(Instant::now(), SOON).await?;
    load.stop().await?;
    let verdict = consumer.finish(SOON).await?;
    ensure!(verdict.duplicates == 0, "{verdict}");
    verdict.require_clean()?;
    let slots = "SELECT string_agg(slot_name, ' ') FROM pg_replication_slots WHERE database = current_database()";
    let session = scenario.database().session().await?;
    let slots: String = session.query_one(slots, &[]).await?.get(0);
    ensure!(slots == scenario.database().name(), "slots left: {slots}");
    drop(relay);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_seen_once_while_the_number_of_shards_changes() -> Result<()> {
    each_event_once(Delivery::ExactlyOnce, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_seen_once_though_the_change_of_shards_is_killed_at_every_step() -> Result<()>
{
    each_event_once(Delivery::ExactlyOnce, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_shards_sends_nothing_twice_at_least_once_either() -> Result<()> {
    each_event_once(Delivery::AtLeastOnce, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_in_processes_of_their_own_share_the_outbox() -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = Scenario::shared().await?;
    let scenario = scenario.delivering(Delivery::ExactlyOnce);
    let scenario = resharded(scenario, 2).await?;
    let consumer = scenario.consumer()?;
    let first = scenario.relay_of_shard(0).await?;
    let second = scenario.relay_of_shard(1).await?;
    let load = load(&scenario);
    scenario.journal().flows_again(Instant::now(), SOON).await?;
    first.kill_9().await?;
    let _first = scenario.relay_of_shard(0).await?;
    scenario.journal().flows_again(Instant::now(), SOON).await?;
    load.stop().await?;
    consumer.finish(SOON).await?.require_clean()?;
    drop(second);
    Ok(())
}

/// With another number of shards, changed without any trouble.
async fn resharded(scenario: Scenario, to: u8) -> Result<Scenario> {
    let command = scenario.command(&format!("reshard --to {to}"))?;
    let output = Command::from(command).output().await?;
    let report = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "reshard: {report}");
    Ok(scenario.with("CDC_RELAY__SHARDS", to.to_string()))
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_before_the_slots_are_sent_once_by_all_shards_together() -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = Scenario::shared().await?;
    let name = scenario.database().name().to_owned();
    let session = scenario.database().session().await?;
    session
        .batch_execute(&format!("SELECT pg_drop_replication_slot('{name}')"))
        .await?;
    let mut writer = scenario.writer();
    for _ in 0..5 {
        writer
            .write(
                Transaction::Commit { events: 100 },
                Entry::Insert,
                Phase::Rough,
            )
            .await?;
    }
    let scenario = scenario
        .delivering(Delivery::ExactlyOnce)
        .with("CDC_RELAY__SHARDS", "3")
        .with("CDC_RELAY__SNAPSHOT", "initial");
    scenario.init().await?;
    let consumer = scenario.consumer()?;
    let _relay = scenario.relay().await?;
    let verdict = consumer.finish(SOON).await?;
    ensure!(verdict.received == 500, "{verdict}");
    verdict.require_clean()
}
