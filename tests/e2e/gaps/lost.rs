//! The server has removed log that the slot needed.

use anyhow::{Context, Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::services::{Cluster, Services, Version};
use cdc_e2e::wait::{Look, until};

use super::{DELIVERIES, fails, goes_on, has_each_row_once, prepared, relayed, written};
use crate::heavy;
use crate::outlet::{SOON, ids};

const LITTLE: &str = "max_slot_wal_keep_size = 1MB\nmin_wal_size = 32MB\nmax_wal_size = 32MB";

/// The slot, which no relay holds, loses its log with all that it has not sent.
async fn lose_log(scenario: &Scenario) -> Result<()> {
    let session = scenario.database().session().await?;
    let status = "SELECT wal_status FROM pg_replication_slots WHERE slot_name = $1";
    until(SOON, "the slot to lose its log", async || {
        for _ in 0..4 {
            // A segment that is empty is not left for the next one.
            scenario.database().write_elsewhere(1).await?;
            session.batch_execute("SELECT pg_switch_wal()").await?;
        }
        session.batch_execute("CHECKPOINT").await?;
        let row = session
            .query_one(status, &[&scenario.database().name()])
            .await?;
        let found: String = row.get(0);
        Ok(Look::when(found == "lost", found))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_at_a_slot_that_lost_its_log_and_goes_on_with_or_without_the_rows() -> Result<()> {
    let _turn = heavy::turn().await;
    for delivery in DELIVERIES {
        let cluster = Cluster::create(Version::Shared)?;
        cluster.configure(LITTLE)?;
        cluster.start()?;
        let scenario = Scenario::on(Services::with_postgres(&cluster)?).await?;
        let scenario = prepared(scenario.showing_log(), delivery);
        relayed(&scenario, 1..=2).await?;
        written(&scenario, 3..=4).await?;
        lose_log(&scenario).await?;
        fails(&scenario, "CDC0026").await.context(delivery)?;

        let (scenario, found) = goes_on(scenario, "replay_table", 5).await?;
        ensure!(found == ids(1..=5), "{delivery}, replayed: {found:?}");
        has_each_row_once(&scenario, found).await?;
        // Filled once, it is no gap any more.
        relayed(&scenario, [6]).await?;

        written(&scenario, 7..=8).await?;
        lose_log(&scenario).await?;
        fails(&scenario, "CDC0026").await.context(delivery)?;
        let (scenario, found) = goes_on(scenario, "accept", 9).await?;
        let expected = ids((1..=6).chain([9]));
        ensure!(found == expected, "{delivery}, accepted: {found:?}");
        relayed(&scenario, [10]).await?;
    }
    Ok(())
}
