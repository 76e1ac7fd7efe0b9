//! Commits decide: what arrives, and in which order.

use std::time::Duration;

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::proxy::Proxy;
use cdc_e2e::services::Component;
use cdc_e2e::stopwatch::Phase;
use cdc_e2e::wait::{Look, until};
use cdc_e2e::workload::{Entry, Mix, Transaction};

use crate::heavy;
use crate::outlet::{SOON, emit, id, ids, ids_until, one_topic};

#[tokio::test(flavor = "multi_thread")]
async fn of_two_transactions_the_one_that_commits_first_comes_first() -> Result<()> {
    let scenario = one_topic(Scenario::shared().await?);
    let _relay = scenario.relay().await?;
    let (early, late) = (
        scenario.database().session().await?,
        scenario.database().session().await?,
    );
    late.batch_execute(&format!("BEGIN; {}", emit(3))).await?;
    early.batch_execute(&format!("BEGIN; {}", emit(1))).await?;
    late.batch_execute(&emit(4)).await?;
    early.batch_execute(&format!("{} COMMIT;", emit(2))).await?;
    late.batch_execute(&format!("{} COMMIT;", emit(5))).await?;
    let found = ids_until(&scenario, &id(5)).await?;
    ensure!(found == ids(1..=5), "{found:?}");
    Ok(())
}

/// Its row stands in the log before the position that the relay has confirmed; its commit does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_was_open_across_a_restart_arrives() -> Result<()> {
    let scenario = one_topic(Scenario::shared().await?);
    let relay = scenario.relay().await?;
    let (open, other) = (
        scenario.database().session().await?,
        scenario.database().session().await?,
    );
    open.batch_execute(&format!("BEGIN; {}", emit(2))).await?;
    let row_is_before = scenario.database().current_lsn().await?;
    other.batch_execute(&emit(1)).await?;
    ensure!(ids_until(&scenario, &id(1)).await? == ids([1]));
    relay.sigterm(SOON).await?;
    let confirmed = scenario.database().slot().await?.confirmed;
    ensure!(
        confirmed > row_is_before,
        "{confirmed} is not past the open row"
    );
    open.batch_execute(&format!("{} COMMIT;", emit(3))).await?;

    let _relay = scenario.relay().await?;
    other.batch_execute(&emit(4)).await?;
    let found = ids_until(&scenario, &id(4)).await?;
    ensure!(found == ids(1..=4), "{found:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_whose_relay_dies_in_the_middle_of_it_arrives_whole() -> Result<()> {
    const EVENTS: u32 = 60_000;
    let _turn = heavy::turn().await;
    let scenario = Scenario::shared().await?;
    let proxy = Proxy::in_front_of(scenario.database().url().address()).await?;
    let scenario = scenario.through(&proxy);
    let consumer = scenario.consumer()?;
    let relay = scenario.relay().await?;
    // The transaction takes seconds to reach the relay, so that it is killed in the middle of it on any machine.
    proxy.set(|behaviour| behaviour.delay = Duration::from_millis(20));
    let mut writer = scenario.writer();
    let events = Transaction::Bulk { events: EVENTS };
    writer.write(events, Entry::Insert, Phase::Rough).await?;
    until(SOON, "a part of the transaction", async || {
        let received = scenario.journal().counts().received;
        Ok(Look::when(received > 0, received))
    })
    .await?;
    relay.kill_9().await?;
    let left = scenario.database().changes_left(SOON).await?;
    ensure!(
        left == i64::from(EVENTS),
        "{left} of {EVENTS} events are left: the relay was killed too late, or confirmed too much"
    );
    proxy.set(|behaviour| behaviour.delay = Duration::ZERO);
    let _relay = scenario.relay().await?;
    writer.write_mix(Mix::SingleRows, 10, Phase::Rough).await?;
    consumer
        .finish(Duration::from_secs(60))
        .await?
        .require_clean()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_transaction_arrives_when_it_is_committed_even_after_a_restart() -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = one_topic(Scenario::private(&[Component::Postgres]).await?);
    scenario
        .database()
        .session()
        .await?
        .batch_execute("ALTER SYSTEM SET max_prepared_transactions = 5")
        .await?;
    scenario.servers()?.stop(Component::Postgres).await?;
    scenario.servers()?.start_again(Component::Postgres).await?;

    let relay = scenario.relay().await?;
    let session = scenario.database().session().await?;
    for (n, name) in [(2, "kept"), (90, "undone")] {
        let prepare = format!("BEGIN; {} PREPARE TRANSACTION '{name}';", emit(n));
        session.batch_execute(&prepare).await?;
    }
    session.batch_execute(&emit(1)).await?;
    ensure!(ids_until(&scenario, &id(1)).await? == ids([1]));
    relay.sigterm(SOON).await?;
    session.batch_execute("COMMIT PREPARED 'kept'").await?;
    session.batch_execute("ROLLBACK PREPARED 'undone'").await?;
    session.batch_execute(&emit(3)).await?;
    let _relay = scenario.relay().await?;
    let found = ids_until(&scenario, &id(3)).await?;
    ensure!(found == ids(1..=3), "{found:?}");
    Ok(())
}
