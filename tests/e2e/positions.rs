//! What the slot is told.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::services::Component;
use cdc_e2e::stopwatch::Phase;
use cdc_e2e::wait::{Look, until};
use cdc_e2e::workload::{Load, Mix, Pace};

use crate::heavy;
use crate::outlet::{SOON, emit, id, ids, ids_until, one_topic};

/// A slot that moves rarely repeats much after a crash, and keeps the log of the whole server.
#[tokio::test(flavor = "multi_thread")]
async fn the_slot_moves_at_least_every_three_seconds_under_load_and_never_back() -> Result<()> {
    const MOVES: u32 = 3;
    let _turn = heavy::turn().await;
    let scenario = Scenario::shared().await?;
    let consumer = scenario.consumer()?;
    let load = Load::start(
        scenario.writers(1, 1),
        Mix::SingleRows,
        Pace(200),
        Phase::Rough,
    );
    let mut confirmed = scenario.database().slot().await?.confirmed;
    // The second relay starts from what the first, which is killed, has confirmed.
    for _ in 0..2 {
        let relay = scenario.relay().await?;
        scenario.journal().flows_again(Instant::now(), SOON).await?;
        for _ in 0..MOVES {
            let before = confirmed;
            until(Duration::from_secs(3), "the slot to move", async || {
                confirmed = scenario.database().slot().await?.confirmed;
                Ok(Look::when(confirmed != before, confirmed))
            })
            .await?;
            ensure!(
                confirmed > before,
                "the slot went back from {before} to {confirmed}"
            );
        }
        relay.kill_9().await?;
    }
    load.stop().await?;
    let _relay = scenario.relay().await?;
    consumer.finish(SOON).await?.require_clean()
}

/// A message from outside of any transaction ends where the next record begins, and that may be the commit of a
/// transaction that was open around it: to confirm one byte more than the message is to lose that transaction.
#[tokio::test(flavor = "multi_thread")]
async fn confirming_a_standalone_message_does_not_skip_the_commit_right_after_it() -> Result<()> {
    let _turn = heavy::turn().await;
    // Nobody else may write between the message and the commit.
    let scenario = one_topic(Scenario::private(&[Component::Postgres]).await?);
    let database = scenario.database();
    let (around, other) = (database.session().await?, database.session().await?);
    around
        .batch_execute(&format!("BEGIN; {}", emit(90)))
        .await?;
    let emitted = "SELECT (pg_logical_emit_message(false, 'outbox', $1) - '0/0')::bigint";
    let mut n = 0;
    // The server itself writes a record every now and then. Then it's another message's turn.
    until(SOON, "a message with nothing after it", async || {
        n += 1;
        let relay = scenario.relay().await?;
        let content = format!(
            r#"{{"id": "{}", "aggregatetype": "order", "aggregateid": "k", "payload": 1}}"#,
            id(n)
        );
        let end: i64 = other.query_one(emitted, &[&content]).await?.get(0);
        ids_until(&scenario, &id(n)).await?;
        until(SOON, "the message to be confirmed", async || {
            let passed = "SELECT confirmed_flush_lsn - '0/0' >= $1::bigint FROM pg_replication_slots";
            let passed: bool = other.query_one(passed, &[&end]).await?.get(0);
            Ok(Look::when(passed, "not confirmed"))
        })
        .await?;
        relay.kill_9().await?;
        let after = "SELECT pg_current_wal_insert_lsn() - confirmed_flush_lsn <= 0 FROM pg_replication_slots";
        let nothing_after: bool = other.query_one(after, &[]).await?.get(0);
        Ok(Look::when(nothing_after, "the server has written"))
    })
    .await?;
    around.batch_execute("COMMIT").await?;

    let _relay = scenario.relay().await?;
    other.batch_execute(&emit(91)).await?;
    let mut found = ids_until(&scenario, &id(91)).await?;
    found.dedup();
    ensure!(found == ids((1..=n).chain([90, 91])), "{found:?}");
    Ok(())
}
