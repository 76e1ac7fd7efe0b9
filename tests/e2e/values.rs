//! Every byte of a key and a payload.

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;

use crate::outlet::{id, one_topic, records_until};

#[tokio::test(flavor = "multi_thread")]
async fn json_comes_as_it_was_written_and_null_is_no_value() -> Result<()> {
    let scenario = one_topic(Scenario::shared().await?);
    let _relay = scenario.relay().await?;
    let session = scenario.database().session().await?;
    let payload = " {\"b\" :1.50,\t\"a\": [ ],\n\n \"b\":\"\\u00e4\\/ 😀\", \"n\": null }  ";
    let insert = "INSERT INTO cdc.outbox (id, aggregatetype, aggregateid, type, payload, headers)
                  VALUES ($1::text::uuid, $2, $3, 't', $4::text::json, $5::text::jsonb)";
    let null = None::<&str>;
    session
        .execute(insert, &[&id(1), &"order", &"k", &payload, &null])
        .await?;
    session
        .execute(
            insert,
            &[&id(2), &"order", &"k", &null, &r#"{"why": "deleted"}"#],
        )
        .await?;
    session
        .execute(insert, &[&id(3), &"order", &null, &"\"\"", &null])
        .await?;
    session
        .execute(insert, &[&id(4), &"order", &"", &"null", &null])
        .await?;

    let records = records_until(&scenario, &id(4)).await?;
    let found: Vec<_> = records
        .iter()
        .map(|record| (record.key_text(), record.value_text()))
        .collect();
    let expected = [
        (Some("k"), Some(payload)),
        (Some("k"), None),
        (None, Some("\"\"")),
        (Some(""), Some("null")),
    ];
    ensure!(found == expected, "{found:?}");
    let tombstone = &records[1];
    ensure!(
        tombstone.headers[1] == ("why".into(), Some(b"deleted".to_vec())),
        "{tombstone:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_null_and_four_byte_text_stay_what_they_are() -> Result<()> {
    let scenario = one_topic(Scenario::shared().await?).with("CDC_OUTBOX__TABLES", "public.plain");
    let session = scenario.database().session().await?;
    session
        .batch_execute("CREATE TABLE plain (id text, aggregatetype text, aggregateid text, type text, payload text)")
        .await?;
    scenario.init().await?;
    let _relay = scenario.relay().await?;
    let insert = "INSERT INTO plain VALUES ($1, 'a', $2, 't', $3)";
    let long = "ß𝄞".repeat(100_000);
    let rows = [
        (Some(""), Some("")),
        (None, None),
        (Some("𝄞😀"), Some("\u{10FFFF}\u{1}\\x41 {not json}")),
        (Some(" "), Some(long.as_str())),
    ];
    for (n, (key, payload)) in (1..).zip(rows) {
        session.execute(insert, &[&id(n), &key, &payload]).await?;
    }
    let records = records_until(&scenario, &id(4)).await?;
    for (record, row) in records.iter().zip(rows) {
        ensure!(
            (record.key_text(), record.value_text()) == row,
            "key {:?} of {:.50?}",
            record.key_text(),
            row
        );
    }
    Ok(())
}

/// What a value looks like must not depend on settings that somebody changes for another program.
#[tokio::test(flavor = "multi_thread")]
async fn settings_of_the_database_do_not_change_a_byte() -> Result<()> {
    let scenario = one_topic(Scenario::shared().await?).with(
        "CDC_OUTBOX__TABLES",
        "public.by_day, public.by_span, public.by_float",
    );
    let session = scenario.database().session().await?;
    let name = scenario.database().name();
    session
        .batch_execute(&format!(
            "ALTER DATABASE {name} SET bytea_output = 'escape';
             ALTER DATABASE {name} SET DateStyle = 'SQL, DMY';
             ALTER DATABASE {name} SET IntervalStyle = 'sql_standard';
             ALTER DATABASE {name} SET extra_float_digits = -15;
             ALTER DATABASE {name} SET standard_conforming_strings = off;
             ALTER DATABASE {name} SET TimeZone = 'Asia/Seoul';
             ALTER DATABASE {name} SET client_encoding = 'LATIN1';
             CREATE TABLE by_day (id text, aggregatetype text, type text, payload bytea, aggregateid date);
             CREATE TABLE by_span (id text, aggregatetype text, type text, payload text, aggregateid interval);
             CREATE TABLE by_float (id text, aggregatetype text, type text, payload text, aggregateid float8);"
        ))
        .await?;
    scenario.init().await?;
    let _relay = scenario.relay().await?;
    session
        .batch_execute(
            r"INSERT INTO by_day VALUES ('1', 'a', 't', '\x5c00ff41', '2024-01-31');
              INSERT INTO by_span VALUES ('2', 'a', 't', 'ö€', '1 year 2 days 03:04:05');
              INSERT INTO by_float VALUES ('3', 'a', 't', '', 0.1::float8 + 0.2::float8);",
        )
        .await?;
    let records = records_until(&scenario, "3").await?;
    let keys: Vec<_> = records.iter().map(|record| record.key_text()).collect();
    // A date is the number of its day, as Debezium writes it.
    let expected = ["19753", "1 year 2 days 03:04:05", "0.30000000000000004"].map(Some);
    ensure!(keys == expected, "{keys:?}");
    ensure!(
        records[0].value.as_deref() == Some(&[b'\\', 0, 0xff, b'A']),
        "{records:?}"
    );
    ensure!(records[1].value_text() == Some("ö€"), "{records:?}");
    Ok(())
}
