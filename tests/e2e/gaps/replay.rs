//! `on_gap = "replay_table"` under load, killed in the middle, and with little in Kafka.

use anyhow::{Context, Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::database::Session;
use cdc_e2e::wait::{Look, until};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{DELIVERIES, has_each_row_once, relayed, scenario, written};
use crate::heavy;
use crate::outlet::{SOON, id, ids_until};

/// Rows that only the table has.
const MISSING: u32 = 20_000;

/// Events that are written while the rows are read.
#[derive(Debug)]
struct Writer {
    stop: CancellationToken,
    task: JoinSet<Result<()>>,
}

impl Writer {
    /// Writes rows by all ways that a transaction can take: alone, in a savepoint, after another that is rolled back.
    fn start(scenario: &Scenario) -> Self {
        let stop = CancellationToken::new();
        let (stopped, url) = (stop.clone(), scenario.database().url().clone());
        let mut task = JoinSet::new();
        task.spawn(async move {
            let session = Session::open(&url).await?;
            let insert = "SELECT cdc.emit('order', 'w', 'T', '{}')";
            while !stopped.is_cancelled() {
                session.batch_execute(insert).await?;
                let nested = format!(
                    "BEGIN; {insert}; SAVEPOINT a; {insert}; RELEASE a; SAVEPOINT b; {insert}; ROLLBACK TO b; COMMIT"
                );
                session.batch_execute(&nested).await?;
                tokio::task::yield_now().await;
            }
            Ok(())
        });
        Self { stop, task }
    }

    async fn stop(mut self) -> Result<()> {
        self.stop.cancel();
        while let Some(ended) = self.task.join_next().await {
            ended??;
        }
        Ok(())
    }
}

async fn drop_slot(scenario: &Scenario) -> Result<()> {
    let name = scenario.database().name();
    until(SOON, "the slot to be free", async || {
        let session = scenario.database().session().await?;
        let act = format!("SELECT pg_drop_replication_slot('{name}')");
        session.batch_execute(&act).await?;
        Ok(Look::Ready(()))
    })
    .await
}

async fn write_missing(scenario: &Scenario) -> Result<()> {
    let insert = format!(
        "INSERT INTO cdc.outbox (aggregatetype, aggregateid, type, payload)
         SELECT 'order', n::text, 'T', '{{}}' FROM generate_series(1, {MISSING}) n"
    );
    Ok(scenario
        .database()
        .session()
        .await?
        .batch_execute(&insert)
        .await?)
}

/// Kafka transactions are kept small, so that a replay takes a while and has many places to die at.
async fn with_rows_missing(delivery: &str) -> Result<Scenario> {
    let scenario = scenario(delivery)
        .await?
        .with("CDC_RELAY__TRANSACTION_MAX_RECORDS", "70")
        .with("CDC_RELAY__ON_GAP", "replay_table");
    relayed(&scenario, 1..=3).await?;
    write_missing(&scenario).await?;
    Ok(scenario)
}

/// Starts a relay and kills it when it has sent that many events.
async fn killed_after(scenario: &Scenario, events: u32) -> Result<()> {
    let relay = scenario.relay().await?;
    until(SOON, "events of the table", async || {
        let sent = relay.admin().metric("cdc_relay_events_total").await?;
        Ok(Look::when(sent >= f64::from(events), sent))
    })
    .await?;
    relay.kill_9().await?;
    Ok(())
}

/// With a slot that is there, what is written meanwhile comes by the stream and is in the table too.
#[tokio::test(flavor = "multi_thread")]
async fn sends_missing_rows_once_while_rows_are_written() -> Result<()> {
    let _turn = heavy::turn().await;
    for (delivery, made_anew) in [
        ("exactly_once", true),
        ("exactly_once", false),
        ("at_least_once", true),
    ] {
        let scenario = with_rows_missing(delivery).await?;
        drop_slot(&scenario).await?;
        if made_anew {
            scenario.init().await?;
        }
        let writer = Writer::start(&scenario);
        let relay = scenario.relay().await?;
        until(SOON, "the end of the table", async || {
            Ok(Look::when(scenario.log().contains("tables are read"), ""))
        })
        .await?;
        writer.stop().await?;
        written(&scenario, [9]).await?;
        let found = ids_until(&scenario, &id(9)).await?;
        has_each_row_once(&scenario, found)
            .await
            .with_context(|| format!("{delivery}, slot made anew: {made_anew}"))?;
        relay.sigterm(SOON).await?;
    }
    Ok(())
}

/// The tables are looked at once to know what the stream may pass over, and read after that.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_table_that_is_emptied_before_it_is_read_come_by_the_stream() -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = scenario("exactly_once")
        .await?
        .with("CDC_RELAY__TRANSACTION_MAX_RECORDS", "70")
        .with("CDC_RELAY__ON_GAP", "replay_table")
        .with("CDC_OUTBOX__TABLES", "cdc.outbox, cdc.second");
    let session = scenario.database().session().await?;
    let create = "CREATE TABLE cdc.second (LIKE cdc.outbox INCLUDING ALL)";
    session.batch_execute(create).await?;
    scenario.init().await?;
    relayed(&scenario, 1..=3).await?;
    drop_slot(&scenario).await?;
    scenario.init().await?;
    // More than is read ahead.
    let first = "INSERT INTO cdc.outbox (aggregatetype, aggregateid, type, payload)
                 SELECT 'order', n::text, 'T', to_json(repeat('x', 1000)) FROM generate_series(1, 20000) n";
    session.batch_execute(first).await?;
    let second = "INSERT INTO cdc.second (aggregatetype, aggregateid, type, payload)
                  SELECT 'order', n::text, 'T', '{}' FROM generate_series(1, 5) n RETURNING id::text";
    let wanted = session.query(second, &[]).await?;
    let wanted: Vec<String> = wanted.iter().map(|row| row.get(0)).collect();

    let relay = scenario.relay().await?;
    until(SOON, "the tables to be read", async || {
        Ok(Look::when(scenario.log().contains("reading rows"), ""))
    })
    .await?;
    session.batch_execute("TRUNCATE cdc.second").await?;
    ensure!(
        !scenario.log().contains("tables are read"),
        "it was too quick"
    );
    written(&scenario, [9]).await?;
    let found = ids_until(&scenario, &id(9)).await?;
    relay.sigterm(SOON).await?;
    for wanted in wanted {
        let times = found.iter().filter(|found| **found == wanted).count();
        ensure!(times == 1, "{wanted} came {times} times");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_killed_goes_on_where_it_was() -> Result<()> {
    let _turn = heavy::turn().await;
    for made_anew in [true, false] {
        let scenario = with_rows_missing("exactly_once").await?;
        drop_slot(&scenario).await?;
        if made_anew {
            scenario.init().await?;
        }
        let writer = Writer::start(&scenario);
        for events in [1, 1500, 4000] {
            killed_after(&scenario, events).await?;
            ensure!(
                !scenario.log().contains("tables are read"),
                "it was killed too late to show anything"
            );
        }
        let relay = scenario.relay().await?;
        until(SOON, "the end of the table", async || {
            Ok(Look::when(scenario.log().contains("tables are read"), ""))
        })
        .await?;
        // Right after the end, while the stream still brings what was read.
        relay.kill_9().await?;
        let relay = scenario.relay().await?;
        writer.stop().await?;
        written(&scenario, [9]).await?;
        let found = ids_until(&scenario, &id(9)).await?;
        has_each_row_once(&scenario, found)
            .await
            .with_context(|| format!("slot made anew: {made_anew}"))?;
        relay.sigterm(SOON).await?;
    }
    Ok(())
}

/// Without transactions a kill may repeat what was not noted yet, but loses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_killed_without_transactions_loses_nothing() -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = with_rows_missing("at_least_once").await?;
    drop_slot(&scenario).await?;
    for events in [1, 1500] {
        killed_after(&scenario, events).await?;
    }
    let relay = scenario.relay().await?;
    written(&scenario, [9]).await?;
    let mut found = ids_until(&scenario, &id(9)).await?;
    found.sort_unstable();
    found.dedup();
    has_each_row_once(&scenario, found).await?;
    relay.sigterm(SOON).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_which_kafka_has_everything_is_not_sent_again() -> Result<()> {
    for delivery in DELIVERIES {
        let scenario = scenario(delivery)
            .await?
            .with("CDC_RELAY__ON_GAP", "replay_table");
        relayed(&scenario, 1..=50).await?;
        drop_slot(&scenario).await?;
        relayed(&scenario, [51]).await?;
        let found = ids_until(&scenario, &id(51)).await?;
        has_each_row_once(&scenario, found).await?;
    }
    Ok(())
}
