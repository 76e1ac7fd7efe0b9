//! Which row becomes which record.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use cdc_e2e::Scenario;

use crate::outlet::{
    SOON, emit, id, ids, ids_until, one_topic, records_of, records_until, refused,
    skip_the_reported_transaction,
};

fn now_ms() -> Result<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(now.as_millis().try_into()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_becomes_the_record_of_the_default_contract() -> Result<()> {
    let scenario = Scenario::shared()
        .await?
        .with("CDC_KAFKA__TOPICS__PARTITIONS", "1");
    let prefix = format!("{}.outbox.event.", scenario.database().name());
    let scenario = scenario.with("CDC_OUTBOX__TOPIC", format!("{prefix}${{routedByValue}}"));
    let _relay = scenario.relay().await?;
    let session = scenario.database().session().await?;
    let before = now_ms()?;
    let insert = "INSERT INTO cdc.outbox (id, aggregatetype, aggregateid, type, payload) VALUES
                  ('ebbf9cd5-2e42-4a0b-8a35-7d0a1a2a1a11', 'User', '10711fa5', 'UserCreated', '{}')";
    session.batch_execute(insert).await?;
    let after = now_ms()?;

    let id = "ebbf9cd5-2e42-4a0b-8a35-7d0a1a2a1a11";
    let records = records_of(&scenario, &format!("{prefix}User"), id).await?;
    ensure!(records.len() == 1, "{records:?}");
    let record = &records[0];
    ensure!(record.key_text() == Some("10711fa5"), "{record:?}");
    ensure!(record.value_text() == Some("{}"), "{record:?}");
    let headers = [("id".to_owned(), Some(id.as_bytes().to_vec()))];
    ensure!(record.headers == headers, "{record:?}");
    let timestamp = record.timestamp_ms.context("no timestamp")?;
    ensure!(
        (before..=after).contains(&timestamp),
        "{timestamp} is not the time of the commit, {before} to {after}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_a_row_follow_its_id() -> Result<()> {
    let scenario = one_topic(Scenario::shared().await?);
    let _relay = scenario.relay().await?;
    let session = scenario.database().session().await?;
    let headers = r#"{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "größe": "😀", "none": null}"#;
    let emit = format!(
        "SELECT cdc.emit('order', 'k', 'T', '1', '{headers}', '{}')",
        id(1)
    );
    session.batch_execute(&emit).await?;
    let records = records_until(&scenario, &id(1)).await?;
    let expected = [
        ("id", Some(id(1))),
        ("größe", Some("😀".into())),
        ("none", None),
        (
            "traceparent",
            Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        ),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.map(String::into_bytes)));
    let mut found = records[0].headers.clone();
    found[1..].sort();
    let mut wanted = expected.to_vec();
    wanted[1..].sort();
    ensure!(found == wanted, "{:?}", records[0].headers);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn any_column_can_be_the_key_even_one_with_another_use() -> Result<()> {
    let mut scenario = one_topic(Scenario::shared().await?);
    let session = scenario.database().session().await?;
    let columns = [
        ("type", "Happened".to_owned()),
        ("aggregatetype", "order".into()),
        ("id", id(3)),
        ("payload", "{}".into()),
    ];
    for (n, (column, key)) in (1..).zip(columns) {
        scenario = scenario.with("CDC_OUTBOX__KEY", column);
        let relay = scenario.relay().await?;
        session.batch_execute(&emit(n)).await?;
        let records = records_until(&scenario, &id(n)).await?;
        let last = records.last().context("no record")?;
        ensure!(last.key_text() == Some(&key), "{column}: {last:?}");
        ensure!(last.value_text() == Some("{}"), "{column}: {last:?}");
        relay.sigterm(SOON).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_to_start_with_a_key_column_that_the_table_does_not_have() -> Result<()> {
    let scenario = Scenario::shared()
        .await?
        .with("CDC_OUTBOX__KEY", "customer");
    let report = refused(&scenario, scenario.start_relay()?, "CDC0031").await?;
    ensure!(report.contains("\"customer\""), "{report}");
    Ok(())
}

/// Three tables without a primary key and without any column of the default contract.
#[tokio::test(flavor = "multi_thread")]
async fn several_tables_with_other_column_names_and_key_types_are_outboxes() -> Result<()> {
    let scenario = one_topic(Scenario::shared().await?)
        .with(
            "CDC_OUTBOX__TABLES",
            "shop.by_uuid, shop.by_number, shop.by_bytes",
        )
        .with("CDC_OUTBOX__ID", "event")
        .with("CDC_OUTBOX__ROUTE_BY", "kind")
        .with("CDC_OUTBOX__KEY", "customer")
        .with("CDC_OUTBOX__TYPE", "what")
        .with("CDC_OUTBOX__PAYLOAD", "body");
    let session = scenario.database().session().await?;
    session
        .batch_execute(
            "CREATE SCHEMA shop;
             CREATE TABLE shop.by_uuid (customer uuid, event bigint, kind text, what text, body text);
             CREATE TABLE shop.by_number (event bigint, kind text, customer bigint, what text, body jsonb);
             CREATE TYPE shop.colour AS ENUM ('red');
             CREATE TABLE shop.by_bytes (
                 event bigint, extra numeric[], kind shop.colour, what text, at timestamptz, ratio numeric,
                 gone bool, body bytea, customer bytea);",
        )
        .await?;
    scenario.init().await?;
    let _relay = scenario.relay().await?;
    session
        .batch_execute(
            r"INSERT INTO shop.by_uuid VALUES ('EBBF9CD5-2E42-4A0B-8A35-7D0A1A2A1A11', 1, 'a', 't', ' text ');
              INSERT INTO shop.by_number VALUES (2, 'a', -9223372036854775808, 't', '[1,  2]');
              INSERT INTO shop.by_bytes VALUES
                  (3, '{1.5,NULL,NaN}', 'red', 't', 'infinity', 'NaN', NULL, '\x0001ff5c', '\xdeadbeef00');",
        )
        .await?;
    let records = records_until(&scenario, "3").await?;
    let found: Vec<_> = records
        .iter()
        .map(|record| (record.key.as_deref(), record.value.as_deref()))
        .collect();
    let expected = [
        (&b"ebbf9cd5-2e42-4a0b-8a35-7d0a1a2a1a11"[..], &b" text "[..]),
        (b"-9223372036854775808", b"[1, 2]"),
        (b"\xde\xad\xbe\xef\0", b"\0\x01\xff\\"),
    ];
    let expected = expected.map(|(key, value)| (Some(key), Some(value)));
    ensure!(found == expected, "{records:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn names_may_be_quoted_in_any_case_and_in_any_script() -> Result<()> {
    let scenario = one_topic(Scenario::shared().await?)
        .with("CDC_OUTBOX__TABLES", r#"['"Über Schema_"."Out""box, \✓"']"#)
        .with("CDC_OUTBOX__ID", "Event Id")
        .with("CDC_OUTBOX__ROUTE_BY", r"back\slash")
        .with("CDC_OUTBOX__KEY", r#"schlüssel"x"#)
        .with("CDC_OUTBOX__TYPE", "種類")
        .with("CDC_OUTBOX__PAYLOAD", "PAYLOAD")
        .with("CDC_OUTBOX__HEADERS", "Head-ers");
    let session = scenario.database().session().await?;
    session
        .batch_execute(
            r#"CREATE SCHEMA "Über Schema_";
               CREATE TABLE "Über Schema_"."Out""box, \✓" (
                   "Event Id" text, "back\slash" text, "schlüssel""x" text, "種類" text, payload text,
                   "PAYLOAD" text, "Head-ers" json);"#,
        )
        .await?;
    scenario.init().await?;
    let _relay = scenario.relay().await?;
    session
        .batch_execute(
            r#"INSERT INTO "Über Schema_"."Out""box, \✓" VALUES ('1', 'r', 'k', 't', 'no', 'yes', '{"a": "b"}')"#,
        )
        .await?;
    let records = records_until(&scenario, "1").await?;
    let record = &records[0];
    ensure!(record.key_text() == Some("k"), "{record:?}");
    ensure!(record.value_text() == Some("yes"), "{record:?}");
    ensure!(
        record.headers[1] == ("a".into(), Some(b"b".to_vec())),
        "{record:?}"
    );
    Ok(())
}

/// Whoever gives the bad event up moves the slot past its transaction; whatever came before and after is kept.
#[tokio::test(flavor = "multi_thread")]
async fn stops_at_an_event_that_is_not_valid_and_loses_no_other() -> Result<()> {
    let scenario = Scenario::shared()
        .await?
        .with("CDC_KAFKA__TOPICS__PARTITIONS", "1")
        // Whoever moves the slot says so.
        .with("CDC_RELAY__ON_GAP", "accept")
        .with("CDC_OUTBOX__TABLES", "public.loose");
    let session = scenario.database().session().await?;
    session
        .batch_execute(
            "CREATE TABLE loose (id text, aggregatetype text, aggregateid text, type text, payload text)",
        )
        .await?;
    scenario.init().await?;
    let bad = [
        "(NULL, 'order', 'k', 't', '')",
        "('', 'order', 'k', 't', '')",
        "('x', NULL, 'k', 't', '')",
        "('x', 'a b/c', 'k', 't', '')",
        "('x', 'größe', 'k', 't', '')",
    ];
    for (n, row) in (1..).zip(bad) {
        session
            .batch_execute(&format!(
                "INSERT INTO loose VALUES ('{n}', 'order', 'k', 't', '')"
            ))
            .await?;
        session
            .batch_execute(&format!("INSERT INTO loose VALUES {row}"))
            .await?;
    }
    session
        .batch_execute("INSERT INTO loose VALUES ('last', 'order', 'k', 't', '')")
        .await?;
    for row in bad {
        refused(&scenario, scenario.start_relay()?, "CDC0032")
            .await
            .with_context(|| format!("at {row}"))?;
        // And again: the slot has not passed it.
        let report = refused(&scenario, scenario.start_relay()?, "CDC0032")
            .await
            .with_context(|| format!("again at {row}"))?;
        skip_the_reported_transaction(&scenario, &report).await?;
    }
    let _relay = scenario.relay().await?;
    let topic = format!("{}.order", scenario.database().name());
    let records = records_of(&scenario, &topic, "last").await?;
    let mut seen: Vec<_> = records.iter().map(|record| record.id()).collect();
    seen.dedup();
    ensure!(seen == ["1", "2", "3", "4", "5", "last"], "{seen:?}");
    Ok(())
}

/// The topic's name cannot be made from the row, but a fixed name needs none of it.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_routed_arrives_after_the_configuration_was_corrected() -> Result<()>
{
    let scenario = Scenario::shared().await?;
    let session = scenario.database().session().await?;
    session
        .batch_execute(&emit(1).replace("order", "order/größe"))
        .await?;
    refused(&scenario, scenario.start_relay()?, "CDC0032").await?;
    let scenario = one_topic(scenario);
    let _relay = scenario.relay().await?;
    ensure!(ids_until(&scenario, &id(1)).await? == ids([1]));
    Ok(())
}
