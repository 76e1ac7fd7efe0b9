//! The store of failed events is away for longer than the relay waits before it looks how Kafka is.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::wait::{Look, until};

use super::{DELIVERIES, counted, create_topic, emit, parked, parking};
use crate::outlet::{SOON, id, ids, ids_until, one_topic};

/// Nothing was delivered for 10 s: by then the relay has looked at Kafka.
const LOOKED: Duration = Duration::from_secs(12);

async fn until_somebody_waits_for_the_store(scenario: &Scenario) -> Result<()> {
    let session = scenario.database().session().await?;
    until(SOON, "the relay to wait for the store", async || {
        let query = "SELECT count(*) FROM pg_locks
                     WHERE NOT granted AND relation = 'cdc.failed_event'::regclass";
        let waiting: i64 = session.query_one(query, &[]).await?.get(0);
        Ok(Look::when(waiting > 0, "it does not"))
    })
    .await
}

/// Everything that has been written is confirmed.
async fn until_the_slot_is_past_it(scenario: &Scenario) -> Result<()> {
    let session = scenario.database().session().await?;
    let written = session.query_one("SELECT pg_current_wal_lsn()::text", &[]);
    let written: String = written.await?.get(0);
    until(SOON, "the slot to pass the parked event", async || {
        let query = "SELECT confirmed_flush_lsn >= $2::text::pg_lsn, confirmed_flush_lsn::text
                     FROM pg_replication_slots WHERE slot_name = $1";
        let slot = scenario.database().name();
        let row = session.query_one(query, &[&slot, &written]).await?;
        let confirmed: String = row.get(1);
        Ok(Look::when(row.get(0), format!("{confirmed} of {written}")))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_was_refused_is_not_forgotten_while_the_store_is_away() -> Result<()> {
    for delivery in DELIVERIES {
        let scenario = one_topic(parking(delivery).await?);
        let topic = format!("{}.events", scenario.database().name());
        create_topic(&scenario, &topic, "20000").await?;
        let relay = scenario.relay().await?;
        let store = scenario.database().session().await?;
        store
            .batch_execute("BEGIN; LOCK TABLE cdc.failed_event IN ACCESS EXCLUSIVE MODE")
            .await?;
        let session = scenario.database().session().await?;
        for (n, payload) in [(1, 10), (91, 60_000), (2, 10)] {
            session.batch_execute(&emit(n, "order", payload)).await?;
        }
        until_somebody_waits_for_the_store(&scenario)
            .await
            .context(delivery)?;
        // Nobody can tell from without that it has looked.
        tokio::time::sleep(LOOKED).await;
        store.batch_execute("COMMIT").await?;
        until_the_slot_is_past_it(&scenario)
            .await
            .context(delivery)?;
        let found = parked(&scenario).await?;
        let events: Vec<_> = found
            .iter()
            .filter_map(|event| event.event.clone())
            .collect();
        ensure!(events == [id(91)], "{delivery}: {found:?}");
        let mut found = ids_until(&scenario, &id(2)).await?;
        found.dedup();
        ensure!(found == ids([1, 2]), "{delivery}: {found:?}");
        // It was dealt with where it was refused: nothing had to begin anew.
        let counted = counted(&relay, "too_large").await?;
        ensure!(counted == Some(1), "{delivery}: {counted:?}");
    }
    Ok(())
}
