//! `cdc-relay doctor`.

mod clock;
mod consumers;
mod failover;
mod finding;
mod kafka;
mod outbox;
mod privileges;
mod publication;
mod render;
mod server;
mod session;
mod slot;
mod transactions;

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::cli::Doctor;
use crate::config::Config;
use crate::database::{Database, Pace, SlotState};
use crate::error_code::ErrorCode;
use crate::failure::Failure;
use crate::terminal::{Style, say};

use finding::{Findings, Report, Status};

/// Over this time the growth of the log is measured; most of it passes in other checks.
const MEASURED: Duration = Duration::from_secs(1);

/// Looks at everything that a relay needs, changes nothing, and prints what it found.
pub(super) async fn run(arguments: &Doctor, config: &Config) -> Result<(), Failure> {
    let mut report = Report::default();
    let mut server = Findings::at(format!("PostgreSQL {}", config.postgres.options().target()));
    let database = match Database::connect(config).await {
        Ok(database) => {
            server.ok("PostgreSQL", "connected");
            Some(database)
        }
        Err(failure) => {
            server.failed("PostgreSQL", &failure);
            None
        }
    };
    match &database {
        Some(database) => {
            let shards = config.shards();
            let mut before = Vec::new();
            for shard in &shards {
                let slot = database.slot(shard).await.ok().flatten();
                before.push((Instant::now(), slot));
            }
            look_at_server(database, config, &mut server).await;
            report.add(server);
            look_at_outbox(database, config, &mut report).await;
            kafka::check(config, &mut report).await;
            for (shard, before) in shards.iter().zip(before) {
                report.add(look_at_slot(before, database, shard).await);
            }
        }
        None => {
            report.add(server);
            kafka::check(config, &mut report).await;
        }
    }
    consumers::check(config, &mut report).await;
    if arguments.json {
        say(render::json(&report)?);
    } else {
        say(render::text(&report, Style::of_stdout()));
    }
    match report.count(Status::Fail) {
        0 => Ok(()),
        failures => Err(Failure::new(
            ErrorCode::DoctorFailed,
            format!("{failures} of the checks failed"),
            "see the findings above; each says what to do",
        )),
    }
}

/// A check that cannot be made is a finding too, and does not keep the others from being made.
fn told(checked: Result<(), Failure>, name: &'static str, findings: &mut Findings) {
    if let Err(failure) = checked {
        findings.failed(name, &failure);
    }
}

async fn look_at_server(database: &Database, config: &Config, findings: &mut Findings) {
    match database.server(config).await {
        Ok(facts) => server::check(&facts, config, findings),
        Err(failure) => findings.failed("server", &failure),
    }
    match database.role(config).await {
        Ok(role) => privileges::of_role(&role, findings),
        Err(failure) => findings.failed("role", &failure),
    }
    told(
        session::check(config, findings).await,
        "replication",
        findings,
    );
    told(
        transactions::check(database, config, findings).await,
        "transactions",
        findings,
    );
    match database.clock(config).await {
        Ok(difference) => clock::check(difference, findings),
        Err(failure) => findings.failed("clock", &failure),
    }
}

async fn look_at_outbox(database: &Database, config: &Config, report: &mut Report) {
    for shard in config.shards() {
        let mut findings = Findings::at(format!("publication {}", shard.relay.publication));
        told(
            publication::check(database, &shard, &mut findings).await,
            "publication",
            &mut findings,
        );
        report.add(findings);
    }
    other_shards(database, config, report).await;
    for table in &config.outbox.tables {
        let mut findings = Findings::at(format!("table {table}"));
        told(
            outbox::check(table, database, config, &mut findings).await,
            "outbox",
            &mut findings,
        );
        report.add(findings);
    }
    report.add(privileges::of_store(config).await);
}

/// Slots that are left of another number of shards.
async fn other_shards(database: &Database, config: &Config, report: &mut Report) {
    let mut findings = Findings::at("shards");
    let configured = config.relay.shards;
    match database.shard_slots(config).await {
        Ok(slots) => {
            for (slot, shard) in slots.iter().filter(|(_, shard)| shard.of() != configured) {
                let what = format!(
                    "there is the slot {slot:?}, one of {}, and `relay.shards` is {configured}: no relay starts",
                    shard.of()
                );
                findings.failed(
                    "shards",
                    &Failure::other_shards(what, configured, shard.of()),
                );
            }
        }
        Err(failure) => findings.failed("shards", &failure),
    }
    report.add(findings);
}

/// The slot, once more after a while: how fast does the log grow?
async fn look_at_slot(
    (at, before): (Instant, Option<SlotState>),
    database: &Database,
    config: &Config,
) -> Findings {
    let mut findings = Findings::at(format!("slot {}", config.relay.slot));
    sleep_until(at + MEASURED).await;
    let looked = async {
        let now = database.slot(config).await?;
        let usable = slot::check(now.as_ref(), config, &mut findings);
        let (true, Some(now)) = (usable, now) else {
            return Ok(());
        };
        let server = database.server(config).await?;
        let pace = Pace::between(before.as_ref().unwrap_or(&now), &now, at.elapsed());
        slot::retained(&now, &server, &pace, &mut findings);
        failover::check(&now, &server, database, config, &mut findings).await
    };
    let looked = looked.await;
    told(looked, "slot", &mut findings);
    findings
}
