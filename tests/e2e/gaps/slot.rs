//! The slot was dropped, made anew or moved.

use anyhow::{Context, Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::wait::{Look, until};

use super::{DELIVERIES, fails, goes_on, has_each_row_once, relayed, scenario, written};
use crate::outlet::{SOON, ids};

/// What somebody does to the slot while no relay holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Drop,
    MakeAnew,
    Advance,
}

impl Deed {
    const ALL: [Self; 3] = [Self::Drop, Self::MakeAnew, Self::Advance];

    fn code(self) -> &'static str {
        match self {
            Self::Drop => "CDC0023",
            Self::MakeAnew | Self::Advance => "CDC0028",
        }
    }

    async fn happens(self, scenario: &Scenario) -> Result<()> {
        let name = scenario.database().name();
        let act = match self {
            Self::Drop | Self::MakeAnew => format!("SELECT pg_drop_replication_slot('{name}')"),
            Self::Advance => {
                format!("SELECT pg_replication_slot_advance('{name}', pg_current_wal_lsn())")
            }
        };
        // The walsender of a relay that has ended may hold the slot for a moment.
        until(SOON, "the slot to be free", async || {
            let session = scenario.database().session().await?;
            session.batch_execute(&act).await?;
            Ok(Look::Ready(()))
        })
        .await?;
        if self == Self::MakeAnew {
            scenario.init().await?;
        }
        Ok(())
    }
}

/// Relays 1 and 2, then 3 and 4 are written and the slot loses them.
async fn after(deed: Deed, delivery: &str) -> Result<Scenario> {
    let scenario = scenario(delivery).await?;
    relayed(&scenario, 1..=2).await?;
    written(&scenario, 3..=4).await?;
    deed.happens(&scenario).await?;
    Ok(scenario)
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_at_a_slot_that_was_dropped_made_anew_or_moved_until_the_gap_is_accepted()
-> Result<()> {
    for deed in Deed::ALL {
        for delivery in DELIVERIES {
            let scenario = after(deed, delivery).await?;
            fails(&scenario, deed.code())
                .await
                .with_context(|| format!("{deed:?}, {delivery}"))?;
            // And again: to say it once is not to accept it.
            fails(&scenario, deed.code()).await?;
            let (scenario, found) = goes_on(scenario, "accept", 5).await?;
            ensure!(found == ids([1, 2, 5]), "{deed:?}, {delivery}: {found:?}");
            // Accepted once, it is no gap any more.
            relayed(&scenario, [6]).await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sends_the_rows_that_a_lost_slot_would_have_sent() -> Result<()> {
    for deed in Deed::ALL {
        for delivery in DELIVERIES {
            let scenario = after(deed, delivery).await?;
            let (scenario, found) = goes_on(scenario, "replay_table", 5).await?;
            ensure!(found == ids(1..=5), "{deed:?}, {delivery}: {found:?}");
            has_each_row_once(&scenario, found).await?;
            relayed(&scenario, [6]).await?;
        }
    }
    Ok(())
}

/// What is in neither the checkpoint nor the slot cannot be missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_was_moved_over_nothing_but_what_kafka_has_is_no_gap() -> Result<()> {
    let scenario = scenario("exactly_once").await?;
    relayed(&scenario, 1..=2).await?;
    relayed(&scenario, [3]).await?;
    relayed(&scenario, [4]).await
}
