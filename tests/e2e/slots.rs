//! Slots and publications that go away under the relay.

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::process::Signal;
use cdc_e2e::services::Component;
use cdc_e2e::wait::{Look, until};

use crate::heavy;
use crate::outlet::{SOON, emit, id, ids, ids_until, one_topic, refused};

#[tokio::test(flavor = "multi_thread")]
async fn stops_when_the_server_has_dropped_the_log_of_the_slot() -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = one_topic(Scenario::private(&[Component::Postgres]).await?);
    let session = scenario.database().session().await?;
    session
        .batch_execute("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
        .await?;
    session.batch_execute("SELECT pg_reload_conf()").await?;
    let relay = scenario.relay().await?;
    session.batch_execute(&emit(1)).await?;
    ids_until(&scenario, &id(1)).await?;

    relay.pid().send(Signal::Stop)?;
    until(SOON, "the slot to be invalidated", async || {
        session
            .batch_execute(
                "CREATE TABLE IF NOT EXISTS filler (); INSERT INTO filler DEFAULT VALUES;
                 SELECT pg_switch_wal();",
            )
            .await?;
        session.batch_execute("CHECKPOINT").await?;
        let status = session
            .query_one("SELECT wal_status FROM pg_replication_slots", &[])
            .await?;
        let status: Option<String> = status.get(0);
        Ok(Look::when(
            status.as_deref() == Some("lost"),
            format_args!("{status:?}"),
        ))
    })
    .await?;
    relay.pid().send(Signal::Continue)?;
    refused(&scenario, relay, "CDC0026").await?;
    // And so does one that starts now.
    refused(&scenario, scenario.start_relay()?, "CDC0026").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_when_the_publication_is_dropped_and_goes_on_after_init() -> Result<()> {
    let scenario = one_topic(Scenario::shared().await?);
    let relay = scenario.relay().await?;
    let name = scenario.database().name();
    let session = scenario.database().session().await?;
    session.batch_execute(&emit(1)).await?;
    ids_until(&scenario, &id(1)).await?;
    session
        .batch_execute(&format!("DROP PUBLICATION {name}"))
        .await?;
    // This row can never be read through the slot again: no publication was there when it was written.
    session.batch_execute(&emit(90)).await?;
    refused(&scenario, relay, "CDC0021").await?;

    // What the report says to do.
    let drop_slot = format!("SELECT pg_drop_replication_slot('{name}')");
    session.batch_execute(&drop_slot).await?;
    scenario.init().await?;
    // The new slot does not continue the old one, and somebody has to say that this is meant.
    let report = refused(&scenario, scenario.start_relay()?, "CDC0028").await?;
    ensure!(report.contains("made anew"), "{report}");
    let scenario = scenario.with("CDC_RELAY__ON_GAP", "accept");
    let _relay = scenario.relay().await?;
    session.batch_execute(&emit(2)).await?;
    let found = ids_until(&scenario, &id(2)).await?;
    ensure!(found == ids([1, 2]), "{found:?}");
    Ok(())
}
