//! What happens to the slot when a standby takes over.

use super::finding::Findings;
use crate::config::Config;
use crate::database::{Database, ServerFacts, SlotState};
use crate::failure::Failure;

pub(super) async fn check(
    slot: &SlotState,
    server: &ServerFacts,
    database: &Database,
    config: &Config,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let name = &slot.name;
    if slot.synced == Some(true) && server.in_recovery {
        findings.warn(
            "failover",
            format!(
                "{name:?} is a standby's copy: it can be streamed from once the standby is promoted"
            ),
            "name the primary in `postgres.url`, or all hosts with target_session_attrs=read-write",
            None,
        );
        return Ok(());
    }
    match slot.failover {
        Some(true) => findings.ok("failover", "standbys with sync_replication_slots = on keep a copy of the slot"),
        Some(false) => findings.warn(
            "failover",
            "standbys keep no copy of the slot: after a failover it is gone",
            format!(
                "in a replication session (psql \"dbname=... replication=database\"): ALTER_REPLICATION_SLOT \
                 \"{name}\" (FAILOVER true); or drop it when all is relayed, and run `cdc-relay init`"
            ),
            None,
        ),
        None if server.standbys > 0 => findings.warn(
            "failover",
            format!(
                "{} standbys are connected, and PostgreSQL {} keeps no copy of slots there: after a failover the slot \
                 is gone",
                server.standbys,
                server.major()
            ),
            "after a failover run `cdc-relay init`, then fill the gap from the outbox table; PostgreSQL 17 and newer \
             keep slots on standbys",
            None,
        ),
        None => {}
    }
    if slot.failover == Some(true) {
        standbys(server, database, config, findings).await?;
    }
    Ok(())
}

/// A failover loses no event only if standbys have the log before Kafka has the events.
async fn standbys(
    server: &ServerFacts,
    database: &Database,
    config: &Config,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let names: Vec<&str> = server
        .synchronized_standby_slots
        .as_deref()
        .unwrap_or_default()
        .split(',')
        .map(|name| name.trim().trim_matches('"'))
        .filter(|name| !name.is_empty())
        .collect();
    if names.is_empty() {
        if server.standbys > 0 {
            findings.warn(
                "standbys",
                format!(
                    "{} standbys are connected and synchronized_standby_slots is empty: Kafka can have events that a \
                     promoted standby has never seen",
                    server.standbys
                ),
                "name the standbys' physical slots in synchronized_standby_slots",
                None,
            );
        }
        return Ok(());
    }
    let idle = database.idle_slots(&names, config).await?;
    if idle.is_empty() {
        findings.ok(
            "standbys",
            format!("events are sent once {} have them", names.join(", ")),
        );
    } else {
        findings.fail(
            "standbys",
            format!(
                "no standby streams from {} (synchronized_standby_slots): PostgreSQL gives the relay nothing until one \
                 does",
                idle.join(", ")
            ),
            "start the standby, or take its slot out of synchronized_standby_slots and reload",
        );
    }
    Ok(())
}
