//! Changes in the stream that are no events.

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;

use crate::outlet::{emit, id, ids, ids_until, one_topic};

const IGNORED: &str = "cdc_relay_ignored_changes_total";

#[tokio::test(flavor = "multi_thread")]
async fn updates_deletes_truncations_and_other_tables_are_ignored_and_counted() -> Result<()> {
    let scenario = one_topic(Scenario::shared().await?);
    let publication = scenario.database().name();
    let session = scenario.database().session().await?;
    session
        .batch_execute(&format!(
            "CREATE TABLE customer (id uuid PRIMARY KEY, aggregatetype text, aggregateid text, type text, payload text);
             ALTER PUBLICATION {publication} ADD TABLE customer;
             ALTER PUBLICATION {publication} SET (publish = 'insert, update, delete, truncate');"
        ))
        .await?;
    let relay = scenario.relay().await?;
    // Three changes of the outbox, and one truncation of two tables at once.
    let outbox = [
        emit(1),
        emit(2),
        "UPDATE cdc.outbox SET type = 'changed' RETURNING 1;".into(),
        format!("DELETE FROM cdc.outbox WHERE id = '{}';", id(1)),
        format!(
            "INSERT INTO customer VALUES ('{}', 'order', 'k', 't', '{{}}');",
            id(7)
        ),
        "TRUNCATE cdc.outbox, customer;".into(),
        emit(3),
    ];
    for statement in outbox {
        session.batch_execute(&statement).await?;
    }
    ensure!(ids_until(&scenario, &id(3)).await? == ids([1, 2, 3]));
    let ignored = relay.admin().metric(IGNORED).await?;
    // The update changed two rows.
    ensure!(
        (ignored - 4.0).abs() < 0.5,
        "{ignored} changes were ignored"
    );
    Ok(())
}

/// An outbox row that is deleted in its own transaction is an event all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_deleted_at_once_arrives() -> Result<()> {
    let scenario = one_topic(Scenario::shared().await?);
    let _relay = scenario.relay().await?;
    let session = scenario.database().session().await?;
    let statements = format!("BEGIN; {} DELETE FROM cdc.outbox; COMMIT;", emit(1));
    session.batch_execute(&statements).await?;
    session.batch_execute(&emit(2)).await?;
    ensure!(ids_until(&scenario, &id(2)).await? == ids([1, 2]));
    let left = session
        .query_one("SELECT count(*) FROM cdc.outbox", &[])
        .await?;
    ensure!(
        left.get::<_, i64>(0) == 1,
        "the first row is still in the table"
    );
    Ok(())
}
