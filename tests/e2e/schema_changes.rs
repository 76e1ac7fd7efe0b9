//! The outbox table changes while the relay runs.

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;

use crate::outlet::{SOON, id, ids, ids_until, one_topic, records_until, refused};

/// A scenario whose outbox is the table `shop.events`.
async fn with_own_table() -> Result<Scenario> {
    let scenario = one_topic(Scenario::shared().await?).with("CDC_OUTBOX__TABLES", "shop.events");
    let session = scenario.database().session().await?;
    session
        .batch_execute(
            "CREATE SCHEMA shop;
             CREATE TABLE shop.events (id uuid, aggregatetype text, aggregateid text, type text, payload text)",
        )
        .await?;
    scenario.init().await?;
    Ok(scenario)
}

/// The SQL that writes the `n`th event, with its number as key and payload.
fn insert(table: &str, n: u32) -> String {
    format!(
        "INSERT INTO {table} (id, aggregatetype, aggregateid, type, payload)
         VALUES ('{}', 'order', 'key {n}', 't', 'payload {n}')",
        id(n)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn follows_columns_that_move_and_a_table_that_is_made_anew() -> Result<()> {
    let scenario = with_own_table().await?;
    let _relay = scenario.relay().await?;
    let session = scenario.database().session().await?;
    let publication = scenario.database().name();
    let made_anew = format!(
        "DROP TABLE shop.events;
         CREATE TABLE shop.events (extra int, payload text, type text, aggregateid text, aggregatetype text, id uuid);
         ALTER PUBLICATION {publication} ADD TABLE shop.events;"
    );
    let changes = [
        "SELECT 1",
        "ALTER TABLE shop.events ADD COLUMN at timestamptz DEFAULT now()",
        "ALTER TABLE shop.events DROP COLUMN aggregateid, ADD COLUMN aggregateid text",
        made_anew.as_str(),
        "ALTER TABLE shop.events DROP COLUMN extra",
        "ALTER TABLE shop.events REPLICA IDENTITY FULL",
        "ALTER TABLE shop.events REPLICA IDENTITY NOTHING",
        "ALTER TABLE shop.events ADD PRIMARY KEY (id)",
        "ALTER TABLE shop.events REPLICA IDENTITY USING INDEX events_pkey",
        "BEGIN; ALTER TABLE shop.events RENAME COLUMN payload TO old; ALTER TABLE shop.events ADD payload text; COMMIT",
    ];
    for (n, change) in (1..).zip(changes) {
        session.batch_execute(change).await?;
        session.batch_execute(&insert("shop.events", n)).await?;
    }
    let records = records_until(&scenario, &id(10)).await?;
    ensure!(records.len() == changes.len(), "{records:?}");
    for (n, record) in (1..).zip(&records) {
        let expected = (format!("key {n}"), format!("payload {n}"));
        ensure!(
            (record.key_text(), record.value_text())
                == (Some(expected.0.as_str()), Some(expected.1.as_str())),
            "after {}: {record:?}",
            changes[n - 1]
        );
    }
    Ok(())
}

/// By its new name the table is no outbox; to read on would be to lose what is written to it.
#[tokio::test(flavor = "multi_thread")]
async fn stops_at_an_outbox_that_was_renamed_and_sends_its_rows_under_the_new_name() -> Result<()> {
    let scenario = with_own_table().await?;
    let relay = scenario.relay().await?;
    let session = scenario.database().session().await?;
    session.batch_execute(&insert("shop.events", 1)).await?;
    ids_until(&scenario, &id(1)).await?;
    // What is confirmed is not read again, under no name.
    let written = scenario.database().current_lsn().await?;
    scenario.database().confirmed_past(written, SOON).await?;
    session
        .batch_execute("ALTER TABLE shop.events RENAME TO outbox")
        .await?;
    session.batch_execute(&insert("shop.outbox", 2)).await?;
    let report = refused(&scenario, relay, "CDC0030").await?;
    ensure!(report.contains("shop.outbox"), "{report}");

    let scenario = scenario.with("CDC_OUTBOX__TABLES", "shop.outbox");
    let _relay = scenario.relay().await?;
    let found = ids_until(&scenario, &id(2)).await?;
    ensure!(found == ids([1, 2]), "{found:?}");
    Ok(())
}

/// Found out with the first row, it would be too late: that row could not be sent any more.
#[tokio::test(flavor = "multi_thread")]
async fn refuses_to_start_when_the_publication_leaves_a_needed_column_out() -> Result<()> {
    let scenario = with_own_table().await?;
    let session = scenario.database().session().await?;
    let publication = scenario.database().name();
    let publish = |columns: &str| {
        format!("ALTER PUBLICATION {publication} SET TABLE shop.events ({columns})")
    };
    session
        .batch_execute(&publish("id, aggregatetype, aggregateid"))
        .await?;
    let report = refused(&scenario, scenario.start_relay()?, "CDC0031").await?;
    ensure!(report.contains("\"payload\""), "{report}");

    session
        .batch_execute(&publish("id, aggregatetype, aggregateid, payload"))
        .await?;
    let _relay = scenario.relay().await?;
    session.batch_execute(&insert("shop.events", 1)).await?;
    let records = records_until(&scenario, &id(1)).await?;
    ensure!(records[0].value_text() == Some("payload 1"), "{records:?}");
    Ok(())
}

/// A row filter is the owner's way to say which rows are events.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_the_publication_filters_out_are_no_events() -> Result<()> {
    let scenario = with_own_table().await?;
    let session = scenario.database().session().await?;
    let publication = scenario.database().name();
    session
        .batch_execute(&format!(
            "ALTER PUBLICATION {publication} SET TABLE shop.events WHERE (aggregateid <> 'key 2')"
        ))
        .await?;
    let _relay = scenario.relay().await?;
    for n in 1..=3 {
        session.batch_execute(&insert("shop.events", n)).await?;
    }
    let found = ids_until(&scenario, &id(3)).await?;
    ensure!(found == ids([1, 3]), "{found:?}");
    Ok(())
}
