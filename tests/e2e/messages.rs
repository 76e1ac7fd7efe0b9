//! Events written by `pg_logical_emit_message`, without a table.

use anyhow::{Context, Result, ensure};
use cdc_e2e::Scenario;

use crate::outlet::{
    SOON, emit, id, ids, ids_until, one_topic, records_until, refused,
    skip_the_reported_transaction,
};

/// The SQL that writes the `n`th event as a message.
fn message(n: u32, transactional: bool) -> String {
    let id = id(n);
    format!(
        r#"SELECT pg_logical_emit_message({transactional}, 'outbox',
               '{{"id": "{id}", "aggregatetype": "order", "aggregateid": "k", "type": "t", "payload": {n}}}');"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_has_its_place_among_the_rows_of_its_transaction() -> Result<()> {
    let scenario = one_topic(Scenario::shared().await?);
    let _relay = scenario.relay().await?;
    let session = scenario.database().session().await?;
    let committed = [
        "BEGIN;".into(),
        emit(1),
        message(2, true),
        emit(3),
        "SAVEPOINT s;".into(),
        message(90, true),
        emit(91),
        "ROLLBACK TO s;".into(),
        message(4, true),
        "COMMIT;".into(),
    ];
    session.batch_execute(&committed.concat()).await?;
    let rolled_back = [
        "BEGIN;".into(),
        message(92, true),
        emit(93),
        "ROLLBACK;".into(),
    ];
    session.batch_execute(&rolled_back.concat()).await?;
    session.batch_execute(&emit(5)).await?;
    let found = ids_until(&scenario, &id(5)).await?;
    ensure!(found == ids(1..=5), "{found:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_non_transactional_message_arrives_although_its_transaction_is_rolled_back() -> Result<()>
{
    let scenario = one_topic(Scenario::shared().await?);
    let relay = scenario.relay().await?;
    let session = scenario.database().session().await?;
    let rolled_back = [
        "BEGIN;".into(),
        emit(90),
        message(1, false),
        emit(91),
        "ROLLBACK;".into(),
    ];
    session.batch_execute(&rolled_back.concat()).await?;
    // Between two transactions, and in a transaction that is committed: it comes before that one's rows.
    session.batch_execute(&emit(2)).await?;
    session.batch_execute(&message(3, false)).await?;
    let committed = [
        "BEGIN;".into(),
        emit(6),
        message(4, false),
        emit(7),
        message(5, false),
    ];
    session.batch_execute(&committed.concat()).await?;
    session.batch_execute("COMMIT").await?;
    session.batch_execute(&message(8, false)).await?;
    let found = ids_until(&scenario, &id(8)).await?;
    ensure!(found == ids(1..=8), "{found:?}");

    // The last thing in the log was such a message: the next start neither repeats nor misses anything.
    relay.sigterm(SOON).await?;
    let left = scenario.database().changes_left(SOON).await?;
    ensure!(left == 0, "the slot would send {left} events again");
    session.batch_execute(&message(9, false)).await?;
    let _relay = scenario.relay().await?;
    session.batch_execute(&emit(10)).await?;
    let found = ids_until(&scenario, &id(10)).await?;
    ensure!(found == ids(1..=10), "{found:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_routed_as_a_row_is() -> Result<()> {
    let scenario = one_topic(Scenario::shared().await?);
    let _relay = scenario.relay().await?;
    let session = scenario.database().session().await?;
    let headers = r#"{"a": "1", "b": null}"#;
    for (n, function) in (1..).zip(["emit", "emit_message"]) {
        let call = format!(
            "SELECT cdc.{function}('order', 'k😀', 't', '{{\"x\" :  [1.0, \"\\u00e4\"] }}', '{headers}', '{}')",
            id(n)
        );
        session.batch_execute(&call).await?;
    }
    for (n, function) in (3..).zip(["emit", "emit_message"]) {
        let call = format!(
            "SELECT cdc.{function}('order', NULL, 't', NULL::json, NULL, '{}')",
            id(n)
        );
        session.batch_execute(&call).await?;
    }
    let records = records_until(&scenario, &id(4)).await?;
    for pair in records.chunks(2) {
        let [row, message] = pair else {
            anyhow::bail!("{records:?}")
        };
        ensure!(
            (&row.key, &row.value) == (&message.key, &message.value),
            "{row:?}\n{message:?}"
        );
        ensure!(
            row.headers[1..] == message.headers[1..],
            "{row:?}\n{message:?}"
        );
        ensure!(message.timestamp_ms.is_some(), "{message:?}");
    }
    ensure!(
        records[1].value_text() == Some("{\"x\" :  [1.0, \"\\u00e4\"] }"),
        "{records:?}"
    );
    ensure!(records[1].headers.len() == 3, "{records:?}");
    ensure!(
        records[3].key.is_none() && records[3].value.is_none(),
        "{records:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_at_a_message_that_is_no_event_and_passes_over_those_of_others() -> Result<()> {
    // Events are skipped by moving the slot, and the relay is told that this is meant.
    let scenario = one_topic(Scenario::shared().await?).with("CDC_RELAY__ON_GAP", "accept");
    let session = scenario.database().session().await?;
    session
        .batch_execute(
            "SELECT pg_logical_emit_message(true, 'outbox2', 'not ours');
             SELECT pg_logical_emit_message(false, '', '');
             SELECT pg_logical_emit_message(true, 'outbox.', '\\xff00'::bytea);",
        )
        .await?;
    let bad = [
        "",
        "no json",
        "[1]",
        r#"{"aggregatetype": "order", "aggregateid": "k", "payload": 1}"#,
        r#"{"id": "x", "aggregatetype": null, "aggregateid": "k", "payload": 1}"#,
    ];
    let mut n = 0;
    for (content, transactional) in bad.iter().zip([true, false].into_iter().cycle()) {
        n += 1;
        session.batch_execute(&message(n, true)).await?;
        session
            .execute(
                "SELECT pg_logical_emit_message($1, 'outbox', $2)",
                &[&transactional, content],
            )
            .await?;
    }
    let last = n + 1;
    session.batch_execute(&message(last, true)).await?;
    for content in bad {
        let report = refused(&scenario, scenario.start_relay()?, "CDC0032")
            .await
            .with_context(|| format!("at {content:?}"))?;
        skip_the_reported_transaction(&scenario, &report).await?;
    }
    let _relay = scenario.relay().await?;
    let mut found = ids_until(&scenario, &id(last)).await?;
    found.dedup();
    ensure!(found == ids(1..=last), "{found:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_alone_need_no_table() -> Result<()> {
    let scenario = one_topic(Scenario::shared().await?).with("CDC_OUTBOX__TABLES", "");
    let name = scenario.database().name();
    let session = scenario.database().session().await?;
    session
        .batch_execute(&format!(
            "SELECT pg_drop_replication_slot('{name}'); DROP PUBLICATION {name};"
        ))
        .await?;
    scenario.init().await?;
    let tables = session
        .query(
            "SELECT tablename FROM pg_publication_tables WHERE pubname = $1::text",
            &[&name],
        )
        .await?;
    ensure!(tables.is_empty(), "the publication has {tables:?}");
    let _relay = scenario.relay().await?;
    session.batch_execute(&emit(90)).await?;
    session.batch_execute(&message(1, true)).await?;
    session.batch_execute(&message(2, false)).await?;
    let found = ids_until(&scenario, &id(2)).await?;
    ensure!(found == ids([1, 2]), "{found:?}");
    Ok(())
}
