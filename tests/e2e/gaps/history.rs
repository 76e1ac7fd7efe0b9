//! The server itself has another history: restored from a copy, promoted, or replaced.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::database::{Database, Session};
use cdc_e2e::services::{Component, Services};
use cdc_e2e::wait::{Look, until};

use super::{
    DELIVERIES, fails, goes_on, has_each_row_once, prepared, relayed, with_own_postgres, written,
};
use crate::heavy;
use crate::outlet::{SOON, emit, id, ids, ids_until, one_topic, refused};

/// A copy of the data directory of a server that was stopped, beside it.
#[derive(Debug)]
struct Copy {
    data: PathBuf,
    copy: PathBuf,
}

impl Copy {
    async fn take(scenario: &Scenario) -> Result<Self> {
        let session = scenario.database().session().await?;
        let data: String = session.query_one("SHOW data_directory", &[]).await?.get(0);
        drop(session);
        let data = PathBuf::from(data);
        let copy = data.with_extension("copy");
        scenario.servers()?.stop(Component::Postgres).await?;
        run("cp", &[Path::new("-a"), &data, &copy])?;
        scenario.servers()?.start_again(Component::Postgres).await?;
        Ok(Self { data, copy })
    }

    /// The server's data is that of the copy; with `as_standby` it comes up as one.
    async fn restore(&self, scenario: &Scenario, as_standby: bool) -> Result<()> {
        scenario.servers()?.stop(Component::Postgres).await?;
        std::fs::remove_dir_all(&self.data)?;
        run("cp", &[Path::new("-a"), &self.copy, &self.data])?;
        if as_standby {
            mark_as_standby(&self.data)?;
        }
        scenario.servers()?.start_again(Component::Postgres).await
    }
}

fn mark_as_standby(data: &Path) -> Result<()> {
    let signal = data.join("standby.signal");
    std::fs::write(&signal, "")?;
    let like_the_others = format!("--reference={}", data.display());
    run("chown", &[Path::new(&like_the_others), &signal])
}

fn run(program: &str, arguments: &[&Path]) -> Result<()> {
    let status = Command::new(program).args(arguments).status()?;
    ensure!(status.success(), "{program}: {status}");
    Ok(())
}

/// Ends the recovery of a standby: it takes another timeline.
async fn promote(scenario: &Scenario) -> Result<()> {
    until(SOON, "the standby to be promoted", async || {
        let session = scenario.database().session().await?;
        let promote =
            "SELECT CASE WHEN pg_is_in_recovery() THEN pg_promote(wait => true) ELSE true END
                            AND NOT pg_is_in_recovery()";
        let promoted: bool = session.query_one(promote, &[]).await?.get(0);
        Ok(Look::when(promoted, "in recovery"))
    })
    .await
}

/// Kafka has 1 to 4, the server a copy from when there were 1 and 2.
async fn restored(delivery: &str, as_standby: bool) -> Result<Scenario> {
    let scenario = with_own_postgres(delivery).await?;
    relayed(&scenario, 1..=2).await?;
    let copy = Copy::take(&scenario).await?;
    // What the server writes at a start must not reach up to the checkpoint.
    scenario.database().write_elsewhere(2000).await?;
    relayed(&scenario, 3..=4).await?;
    copy.restore(&scenario, as_standby).await?;
    if as_standby {
        promote(&scenario).await?;
    }
    Ok(scenario)
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_at_a_server_that_was_restored_from_a_copy() -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = restored("exactly_once", false).await?;
    let report = fails(&scenario, "CDC0028").await?;
    ensure!(report.contains("restored to an earlier state"), "{report}");
    // What the copy's slot had not noted yet comes again.
    let (scenario, mut found) = goes_on(scenario, "accept", 5).await?;
    found.sort_unstable();
    found.dedup();
    ensure!(found == ids(1..=5), "{found:?}");
    relayed(&scenario, [6]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sends_what_was_written_after_a_restore_and_nothing_twice() -> Result<()> {
    let _turn = heavy::turn().await;
    for delivery in DELIVERIES {
        let scenario = restored(delivery, false).await?;
        written(&scenario, [5]).await?;
        fails(&scenario, "CDC0028").await?;
        let (scenario, found) = goes_on(scenario, "replay_table", 6).await?;
        ensure!(found == ids(1..=6), "{delivery}: {found:?}");
        relayed(&scenario, [7]).await?;
    }
    Ok(())
}

/// The events that only Kafka has are at positions that the server has used again.
#[tokio::test(flavor = "multi_thread")]
async fn stops_at_a_restored_server_that_has_gone_on_past_the_checkpoint() -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = restored("exactly_once", false).await?;
    written(&scenario, 5..=6).await?;
    scenario.database().write_elsewhere(8000).await?;
    written(&scenario, 7..=8).await?;
    refused(&scenario, scenario.start_relay()?, "CDC0028").await?;
    let (scenario, found) = goes_on(scenario, "replay_table", 9).await?;
    ensure!(found.len() == 9, "{found:?}");
    let mut sorted = found.clone();
    sorted.sort();
    ensure!(sorted == ids(1..=9), "{found:?}");
    relayed(&scenario, [10]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_at_a_promoted_standby_that_lacks_events() -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = restored("exactly_once", true).await?;
    written(&scenario, [5]).await?;
    // Its log may well be longer than that of the old primary was.
    scenario.database().write_elsewhere(8000).await?;
    let report = fails(&scenario, "CDC0028").await?;
    ensure!(report.contains("timeline 1 for 2"), "{report}");
    let (scenario, found) = goes_on(scenario, "replay_table", 6).await?;
    ensure!(found == ids(1..=6), "{found:?}");
    relayed(&scenario, [7]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_standby_that_has_everything_is_no_gap() -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = with_own_postgres("exactly_once").await?;
    relayed(&scenario, 1..=2).await?;
    let session = scenario.database().session().await?;
    let data: String = session.query_one("SHOW data_directory", &[]).await?.get(0);
    drop(session);
    scenario.servers()?.stop(Component::Postgres).await?;
    mark_as_standby(Path::new(&data))?;
    scenario.servers()?.start_again(Component::Postgres).await?;
    promote(&scenario).await?;
    // The first goes on from a position on the old timeline, the second from one on the new timeline.
    relayed(&scenario, [3]).await?;
    relayed(&scenario, [4]).await?;
    let found = ids_until(&scenario, &id(4)).await?;
    has_each_row_once(&scenario, found).await
}

/// The same slot, publication and topics, on a server that never heard of the other.
#[tokio::test(flavor = "multi_thread")]
async fn stops_at_another_server_with_a_slot_of_the_same_name() -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = prepared(Scenario::shared().await?, "exactly_once");
    relayed(&scenario, 1..=2).await?;
    let other = Services::private(&[Component::Postgres]).await?;
    let database = Database::create(&other).await?;
    let before = system_id(&scenario.database().session().await?).await?;
    let scenario = scenario.with("CDC_POSTGRES__URL", database.url().to_string());
    scenario.init().await?;
    let session = database.session().await?;
    session.batch_execute(&emit(3)).await?;

    let report = fails(&scenario, "CDC0028").await?;
    for id in [before, system_id(&session).await?] {
        ensure!(report.contains(&id), "{report}");
    }
    let scenario = one_topic(scenario).with("CDC_RELAY__ON_GAP", "accept");
    let relay = scenario.relay().await?;
    ensure!(ids_until(&scenario, &id(3)).await? == ids(1..=3));
    relay.sigterm(SOON).await?;
    // From now on this is the server.
    let scenario = scenario.with("CDC_RELAY__ON_GAP", "fail");
    let _relay = scenario.relay().await?;
    session.batch_execute(&emit(4)).await?;
    ensure!(ids_until(&scenario, &id(4)).await? == ids(1..=4));
    Ok(())
}

/// The second start knows nothing of what the first one was told to do, but what that wrote down.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_on_another_server_that_is_killed_before_there_is_a_slot_sends_what_is_missing_only()
-> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = one_topic(prepared(Scenario::shared().await?, "exactly_once"));
    relayed(&scenario, 1..=2).await?;
    let other = Services::private(&[Component::Postgres]).await?;
    let database = Database::create(&other).await?;
    let scenario = scenario.with("CDC_POSTGRES__URL", database.url().to_string());
    scenario.init().await?;
    let session = database.session().await?;
    let drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots";
    session.batch_execute(drop).await?;
    for n in 1..=3 {
        session.batch_execute(&emit(n)).await?;
    }

    // A slot waits for whoever is writing.
    let writer = database.session().await?;
    let write = format!("BEGIN; {}", emit(4));
    writer.batch_execute(&write).await?;
    let scenario = scenario.with("CDC_RELAY__ON_GAP", "replay_table");
    let relay = scenario.start_relay()?;
    let creating = "SELECT count(*) FROM pg_stat_activity
                     WHERE backend_type = 'walsender' AND query LIKE 'CREATE_REPLICATION_SLOT%' AND state = 'active'";
    until(SOON, "the slot to be waited for", async || {
        let count: i64 = session.query_one(creating, &[]).await?.get(0);
        Ok(Look::when(count > 0, count))
    })
    .await?;
    relay.kill_9().await?;
    writer.batch_execute("COMMIT").await?;

    let scenario = scenario.with("CDC_RELAY__ON_GAP", "fail");
    let _relay = scenario.relay().await?;
    session.batch_execute(&emit(5)).await?;
    let mut found = ids_until(&scenario, &id(5)).await?;
    found.sort();
    ensure!(found == ids(1..=5), "{found:?}");
    Ok(())
}

async fn system_id(session: &Session) -> Result<String> {
    let query = "SELECT system_identifier::text FROM pg_control_system()";
    Ok(session.query_one(query, &[]).await?.get(0))
}
