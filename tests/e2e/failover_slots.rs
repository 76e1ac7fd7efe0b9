//! A primary with a standby that keeps the slot in step: the relay goes on with the standby when the primary is lost.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::database::{DatabaseUrl, Session};
use cdc_e2e::relay::{self, RelayOptions};
use cdc_e2e::services::{Cluster, Services, Version};
use cdc_e2e::wait::{Look, until};
use tokio::task::JoinSet;

use crate::heavy;
use crate::outlet::{SOON, emit, id, ids, ids_until, one_topic};

/// How long the standby may take to have the slot: it looks between five times a second and twice a minute.
const IN_STEP: Duration = Duration::from_secs(90);

/// On the primary: what is committed is on the standby too.
const SYNCHRONOUS: &str = "ALTER SYSTEM SET synchronous_standby_names = '*'";

/// On the primary: the relay hears of nothing that is not on the standby.
const SYNCHRONISED: &str = "ALTER SYSTEM SET synchronized_standby_slots = 'standby'";

/// On the standby: it keeps a copy of the slot.
const SYNC_SLOTS: &str = "ALTER SYSTEM SET sync_replication_slots = on";

/// Two servers, of which the scenario's is the primary.
struct Pair {
    scenario: Scenario,
    primary: Cluster,
    standby: Cluster,
}

impl Pair {
    async fn start(version: Version) -> Result<Self> {
        let primary = Cluster::create(version)?;
        let standby = primary.standby()?;
        primary.start()?;
        let scenario = Scenario::on(Services::with_postgres(&primary)?).await?;
        let pair = Self {
            scenario: one_topic(scenario.showing_log()),
            primary,
            standby,
        };
        let session = pair.scenario.database().session().await?;
        session
            .batch_execute("SELECT pg_create_physical_replication_slot('standby', true)")
            .await?;
        pair.standby.start()?;
        // The worker that copies slots waits for a minute when it does not find the database yet.
        let replayed = until(SOON, "the database on the standby", async || {
            Ok(Look::Ready(Session::open(&pair.on_standby()?).await?))
        })
        .await?;
        set(&replayed, SYNC_SLOTS).await?;
        Ok(pair)
    }

    fn on_standby(&self) -> Result<DatabaseUrl> {
        let server = DatabaseUrl::parse(&self.standby.url())?;
        Ok(server.with_database(self.scenario.database().name()))
    }

    /// Lets the relays find out by themselves which server is the primary.
    fn with_both_hosts(mut self) -> Self {
        let name = self.scenario.database().name();
        let (primary, standby) = (self.primary.address(), self.standby.address());
        let url = format!(
            "postgres://postgres@{primary},{standby}/{name}?target_session_attrs=read-write"
        );
        self.scenario = self.scenario.with("CDC_POSTGRES__URL", url);
        self
    }

    /// Waits until the standby could take over the slot, which a relay must move: it takes none that stands still.
    async fn is_in_step(&self) -> Result<()> {
        let query = "SELECT synced AND NOT temporary AND invalidation_reason IS NULL
                     FROM pg_replication_slots WHERE failover";
        let primary = self.scenario.database().session().await?;
        let standby = Session::open(&self.on_standby()?).await?;
        until(IN_STEP, "the slot on the standby", async || {
            // Two transactions: one that is open while it is decoded holds the slot's catalog_xmin back.
            primary
                .batch_execute("SELECT pg_logical_emit_message(true, 'other', '')")
                .await?;
            primary
                .batch_execute("SELECT pg_log_standby_snapshot()")
                .await?;
            let slot = standby.query_opt(query, &[]).await?;
            let in_step = slot.context("it is not there")?.get(0);
            Ok(Look::when(in_step, "it is not in step"))
        })
        .await
    }

    /// What `doctor` finds at `database` for `check`: `ok`, `warn` or `fail`.
    async fn diagnosis(&self, database: &DatabaseUrl, check: &str) -> Result<String> {
        let (brokers, name) = (
            self.scenario.kafka_brokers(),
            self.scenario.database().name(),
        );
        let options = RelayOptions::new(&database.to_string(), brokers, name);
        let output = relay::run(&options, "doctor --json").await?;
        let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let findings = report["findings"].as_array().into_iter().flatten();
        let mut of_check = findings.filter(|finding| finding["check"] == check);
        let found = of_check.next().with_context(|| report.to_string())?;
        Ok(found["status"].as_str().unwrap_or_default().to_owned())
    }
}

async fn set(session: &Session, setting: &str) -> Result<()> {
    session.batch_execute(setting).await?;
    Ok(session.batch_execute("SELECT pg_reload_conf()").await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_with_the_promoted_standby_and_loses_nothing_on_17() -> Result<()> {
    survives_the_loss_of_the_primary(Version::Major(17)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_with_the_promoted_standby_and_loses_nothing_on_18() -> Result<()> {
    survives_the_loss_of_the_primary(Version::Major(18)).await
}

async fn survives_the_loss_of_the_primary(version: Version) -> Result<()> {
    if version.is_skipped() {
        return Ok(());
    }
    let _turn = heavy::turn().await;
    let pair = Pair::start(version).await?.with_both_hosts();
    let scenario = &pair.scenario;
    let session = scenario.database().session().await?;
    set(&session, SYNCHRONOUS).await?;
    set(&session, SYNCHRONISED).await?;
    let mut relay = scenario.relay().await?;
    pair.is_in_step().await?;

    // One transaction after the other, until the server is gone in the middle of one.
    let mut writer = JoinSet::new();
    writer.spawn(async move {
        let mut committed = 0;
        while session.batch_execute(&emit(committed + 1)).await.is_ok() {
            committed += 1;
        }
        committed
    });
    ids_until(scenario, &id(100)).await?;
    pair.primary.kill().await?;
    let committed = writer.join_next().await.context("no writer")??;
    pair.standby.promote()?;
    let session = Session::open(&pair.on_standby()?).await?;
    let last = committed + 2;
    session.batch_execute(&emit(last)).await?;

    // What the standby did not know to be confirmed comes again; it is the first time that counts.
    let mut seen = HashSet::new();
    let mut found = ids_until(scenario, &id(last)).await?;
    found.retain(|id| seen.insert(id.clone()));
    ensure!(
        found.starts_with(&ids(1..=committed)),
        "of {committed} events some are lost or out of order: {found:?}"
    );
    relay.until_phase("streaming").await?;
    until(SOON, "the promoted slot to move", async || {
        let query = "SELECT confirmed_flush_lsn >= $2::text::pg_lsn FROM pg_replication_slots WHERE slot_name = $1";
        let written = session.query_one("SELECT pg_current_wal_lsn()::text", &[]);
        let written: String = written.await?.get(0);
        let slot = scenario.database().name();
        let confirmed = session.query_one(query, &[&slot, &written]).await?.get(0);
        Ok(Look::when(confirmed, "it does not"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_tells_the_slot_from_its_copy_and_whether_the_standby_is_waited_for() -> Result<()> {
    let version = Version::Major(17);
    if version.is_skipped() {
        return Ok(());
    }
    let _turn = heavy::turn().await;
    let pair = Pair::start(version).await?;
    let _relay = pair.scenario.relay().await?;
    pair.is_in_step().await?;
    let primary = pair.scenario.database().url();
    let standby = pair.on_standby()?;

    ensure!(pair.diagnosis(primary, "failover").await? == "ok");
    ensure!(pair.diagnosis(primary, "standbys").await? == "warn");
    ensure!(pair.diagnosis(&standby, "failover").await? == "warn");
    set(&pair.scenario.database().session().await?, SYNCHRONISED).await?;
    ensure!(pair.diagnosis(primary, "standbys").await? == "ok");
    Ok(())
}
