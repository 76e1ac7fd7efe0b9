//! An outbox that is a partitioned table, and columns that change under the relay.

use anyhow::{Context, Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::wait::{Look, until};

use crate::outlet::{SOON, id, ids, ids_until, one_topic, records_until, refused};

const COLUMNS: &str =
    "id uuid, aggregatetype text, aggregateid text, type text, payload text, day int";

/// A scenario whose outbox is `shop.events`, partitioned by `day`, with a partition for each of 1 and 2.
async fn partitioned(delivery: &str, via_root: bool) -> Result<Scenario> {
    let scenario = one_topic(Scenario::shared().await?)
        .with("CDC_OUTBOX__TABLES", "shop.events")
        .with("CDC_RELAY__DELIVERY", delivery);
    let session = scenario.database().session().await?;
    session
        .batch_execute(&format!(
            "CREATE SCHEMA shop;
             CREATE TABLE shop.events ({COLUMNS}) PARTITION BY LIST (day);
             CREATE TABLE shop.events_1 PARTITION OF shop.events FOR VALUES IN (1);
             CREATE TABLE shop.events_2 PARTITION OF shop.events FOR VALUES IN (2);"
        ))
        .await?;
    scenario.init().await?;
    let name = scenario.database().name();
    session
        .batch_execute(&format!(
            "ALTER PUBLICATION {name} SET (publish_via_partition_root = {via_root})"
        ))
        .await?;
    Ok(scenario)
}

fn insert(n: u32, day: u32) -> String {
    format!(
        "INSERT INTO shop.events (id, aggregatetype, aggregateid, type, payload, day)
         VALUES ('{}', 'order', 'k', 't', 'payload {n}', {day});",
        id(n)
    )
}

/// Partitions come and go while the relay runs; the last one is made by attaching a table.
const CHANGES: [&str; 6] = [
    "SELECT 1",
    "CREATE TABLE shop.events_3 PARTITION OF shop.events FOR VALUES IN (3)",
    "CREATE TABLE shop.events_4 (day int, payload text, id uuid, extra int, aggregatetype text, aggregateid text, type text);
     ALTER TABLE shop.events_4 DROP COLUMN extra;
     ALTER TABLE shop.events ATTACH PARTITION shop.events_4 FOR VALUES IN (4)",
    "ALTER TABLE shop.events DETACH PARTITION shop.events_1",
    "DROP TABLE shop.events_2",
    "ALTER TABLE shop.events ADD COLUMN at timestamptz DEFAULT now()",
];

/// The events that are written after each of [`CHANGES`], by their day.
const DAYS: [&[u32]; 6] = [&[1, 2], &[1, 2, 3], &[2, 4], &[2, 3, 4], &[3, 4], &[4, 3]];

#[tokio::test(flavor = "multi_thread")]
async fn follows_partitions_that_are_attached_and_dropped() -> Result<()> {
    for (delivery, via_root) in [
        ("exactly_once", true),
        ("at_least_once", true),
        ("exactly_once", false),
        ("at_least_once", false),
    ] {
        let scenario = partitioned(delivery, via_root).await?;
        let _relay = scenario.relay().await?;
        let session = scenario.database().session().await?;
        let mut n = 0;
        for (change, days) in CHANGES.iter().zip(DAYS) {
            session.batch_execute(change).await?;
            for day in days {
                n += 1;
                session.batch_execute(&insert(n, *day)).await?;
            }
        }
        let records = records_until(&scenario, &id(n)).await?;
        let found: Vec<_> = records.iter().map(|record| record.value_text()).collect();
        let expected: Vec<_> = (1..=n).map(|n| format!("payload {n}")).collect();
        let expected: Vec<_> = expected.iter().map(|text| Some(text.as_str())).collect();
        ensure!(
            found == expected,
            "{delivery}, via root: {via_root}: {found:?}"
        );
    }
    Ok(())
}

/// What goes while no relay runs is not in the catalogue any more when its rows come.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_partitions_that_are_gone_arrive() -> Result<()> {
    for via_root in [true, false] {
        let scenario = partitioned("exactly_once", via_root).await?;
        let session = scenario.database().session().await?;
        session
            .batch_execute(&(insert(1, 1) + &insert(2, 2)))
            .await?;
        session
            .batch_execute(
                "ALTER TABLE shop.events DETACH PARTITION shop.events_1; DROP TABLE shop.events_2",
            )
            .await?;
        // Not an event any more.
        session
            .batch_execute(&insert(3, 1).replace("shop.events", "shop.events_1"))
            .await?;
        session
            .batch_execute("CREATE TABLE shop.events_3 PARTITION OF shop.events FOR VALUES IN (3)")
            .await?;
        session.batch_execute(&insert(4, 3)).await?;
        let _relay = scenario.relay().await?;
        let found = ids_until(&scenario, &id(4)).await?;
        ensure!(found == ids([1, 2, 4]), "via root: {via_root}: {found:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn other_tables_are_no_outbox_however_they_look() -> Result<()> {
    for via_root in [true, false] {
        let scenario = partitioned("exactly_once", via_root)
            .await?
            .with("CDC_OUTBOX__FORMAT", "cloudevents");
        let name = scenario.database().name();
        let session = scenario.database().session().await?;
        session
            .batch_execute(&format!(
                "CREATE TABLE shop.returns ({COLUMNS}) PARTITION BY LIST (day);
                 CREATE TABLE shop.returns_1 PARTITION OF shop.returns FOR VALUES IN (1);
                 CREATE TABLE shop.customers (LIKE shop.events);
                 ALTER PUBLICATION {name} ADD TABLE shop.returns, shop.customers;"
            ))
            .await?;
        let _relay = scenario.relay().await?;
        for (n, table) in (1..).zip(["events", "returns", "customers", "events"]) {
            let insert = insert(n, 1).replace("shop.events", &format!("shop.{table}"));
            session.batch_execute(&insert).await?;
        }
        // Kafka has what was written before; a table that becomes a part of the outbox is one from then on.
        ids_until(&scenario, &id(4)).await?;
        session
            .batch_execute(
                "TRUNCATE shop.customers;
                 ALTER TABLE shop.events ATTACH PARTITION shop.customers FOR VALUES IN (5)",
            )
            .await?;
        session.batch_execute(&insert(5, 5)).await?;
        let records = records_until(&scenario, &id(5)).await?;
        let found: Vec<_> = records.iter().map(|record| record.id()).collect();
        ensure!(found == ids([1, 4, 5]), "via root: {via_root}: {found:?}");
        let mut sources = records.iter().map(|record| record.header("ce_source"));
        ensure!(
            sources.all(|source| source == Some("/shop/events")),
            "via root: {via_root}: {records:?}"
        );
    }
    Ok(())
}

/// Those that come later would not be in it, and nobody would know.
#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_publication_of_partitions_in_place_of_the_outbox() -> Result<()> {
    let scenario = partitioned("exactly_once", false).await?;
    let name = scenario.database().name();
    let session = scenario.database().session().await?;
    session
        .batch_execute(&format!(
            "ALTER PUBLICATION {name} SET TABLE shop.events_1, shop.events_2"
        ))
        .await?;
    refused(&scenario, scenario.start_relay()?, "CDC0022").await?;
    scenario.init().await?;
    let relay = scenario.relay().await?;
    session.batch_execute(&insert(1, 2)).await?;
    ensure!(ids_until(&scenario, &id(1)).await? == ids([1]));
    relay.sigterm(SOON).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_reads_every_partition_and_is_not_read_again_after_a_kill() -> Result<()> {
    let scenario = partitioned("exactly_once", true)
        .await?
        .with("CDC_RELAY__SNAPSHOT", "initial")
        .with("CDC_RELAY__TRANSACTION_MAX_RECORDS", "70");
    let session = scenario.database().session().await?;
    let name = scenario.database().name();
    session
        .batch_execute(&format!(
            "SELECT pg_drop_replication_slot('{name}');
             INSERT INTO shop.events SELECT gen_random_uuid(), 'order', 'k', 't', 'p', 1 + n % 2
             FROM generate_series(1, 8000) n"
        ))
        .await?;
    for events in [1_u32, 3000] {
        let relay = scenario.relay().await?;
        until(SOON, "events of the table", async || {
            let sent = relay.admin().metric("cdc_relay_events_total").await?;
            Ok(Look::when(sent >= f64::from(events), sent))
        })
        .await?;
        relay.kill_9().await?;
    }
    let _relay = scenario.relay().await?;
    session.batch_execute(&insert(9, 1)).await?;
    let mut found = ids_until(&scenario, &id(9)).await?;
    let records = found.len();
    found.sort_unstable();
    found.dedup();
    ensure!(
        records == 8001 && found.len() == 8001,
        "{records} records, {} ids",
        found.len()
    );
    Ok(())
}

/// A gap in a partitioned outbox: its rows are found in the partitions.
#[tokio::test(flavor = "multi_thread")]
async fn missing_rows_of_partitions_are_sent_after_a_gap() -> Result<()> {
    let scenario = partitioned("exactly_once", true)
        .await?
        .with("CDC_RELAY__ON_GAP", "replay_table");
    let relay = scenario.relay().await?;
    let session = scenario.database().session().await?;
    session
        .batch_execute(&(insert(1, 1) + &insert(2, 2)))
        .await?;
    ids_until(&scenario, &id(2)).await?;
    relay.sigterm(SOON).await?;
    session
        .batch_execute(&(insert(3, 2) + &insert(4, 1)))
        .await?;
    let name = scenario.database().name();
    let drop_slot = format!("SELECT pg_drop_replication_slot('{name}')");
    until(SOON, "the slot to be free", async || {
        session.batch_execute(&drop_slot).await?;
        Ok(Look::Ready(()))
    })
    .await?;
    let _relay = scenario.relay().await?;
    session.batch_execute(&insert(5, 1)).await?;
    let mut found = ids_until(&scenario, &id(5)).await?;
    ensure!(found.last() == Some(&id(5)), "{found:?}");
    found.sort_unstable();
    ensure!(found == ids(1..=5), "{found:?}");
    Ok(())
}

/// A type that the contract takes as text is the same to a consumer.
#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_gets_another_type_goes_on_as_text() -> Result<()> {
    let scenario = partitioned("exactly_once", true).await?;
    let _relay = scenario.relay().await?;
    let session = scenario.database().session().await?;
    let json = |n| insert(n, 1).replace(&format!("payload {n}"), r#"{"a":  1}"#);
    for (n, change) in (1..).zip([
        "SELECT 1",
        "ALTER TABLE shop.events ALTER payload TYPE json USING payload::json",
        "ALTER TABLE shop.events ALTER payload TYPE text",
        "ALTER TABLE shop.events ALTER aggregateid TYPE varchar(20)",
    ]) {
        session.batch_execute(change).await?;
        session.batch_execute(&json(n)).await?;
    }
    let records = records_until(&scenario, &id(4)).await?;
    ensure!(records.len() == 4, "{records:?}");
    for record in &records {
        ensure!(record.value_text() == Some(r#"{"a":  1}"#), "{record:?}");
        ensure!(record.key_text() == Some("k"), "{record:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_at_a_row_without_a_needed_column_and_sends_it_once_the_name_is_corrected()
-> Result<()> {
    let scenario = partitioned("exactly_once", true).await?;
    let relay = scenario.relay().await?;
    let session = scenario.database().session().await?;
    session.batch_execute(&insert(1, 1)).await?;
    ids_until(&scenario, &id(1)).await?;
    let written = scenario.database().current_lsn().await?;
    scenario.database().confirmed_past(written, SOON).await?;
    session
        .batch_execute("ALTER TABLE shop.events RENAME payload TO body")
        .await?;
    session
        .batch_execute(&insert(2, 2).replace("type, payload, day", "type, body, day"))
        .await?;
    let report = refused(&scenario, relay, "CDC0031")
        .await
        .context("while it runs")?;
    ensure!(report.contains("\"payload\""), "{report}");
    let scenario = scenario.with("CDC_OUTBOX__PAYLOAD", "body");
    let _relay = scenario.relay().await?;
    session
        .batch_execute(&insert(3, 1).replace("type, payload, day", "type, body, day"))
        .await?;
    let found = ids_until(&scenario, &id(3)).await?;
    ensure!(found == ids(1..=3), "{found:?}");
    Ok(())
}
