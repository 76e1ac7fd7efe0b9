//! The server's settings and the role.

use std::time::Duration;

use super::finding::Findings;
use crate::config::Config;
use crate::database::{Database, RoleFacts, ServerFacts};
use crate::error_code::ErrorCode;
use crate::failure::Failure;

/// Below this the relay's own pauses, such as one on a busy machine, come near to it.
const SHORT_SENDER_TIMEOUT_MS: i64 = 2_000;
/// Older transactions keep log and dead rows; an outbox needs none of this age.
const OLD_TRANSACTION: Duration = Duration::from_secs(300);

pub(super) async fn check(database: &Database, config: &Config) -> Result<Findings, Failure> {
    let server = database.server(config).await?;
    let role = database.role(config).await?;
    let mut findings = Findings::default();
    settings(&server, &mut findings);
    capacity(&server, &mut findings);
    privileges(&role, &mut findings);
    for blocker in database.writing_transactions(config).await? {
        if blocker.age_seconds > OLD_TRANSACTION.as_secs_f64() {
            findings.warn(
                "transactions",
                format!("{blocker} keeps the slot's log from being removed, and a new slot from being made"),
                "end it; idle_in_transaction_session_timeout prevents it",
                Some(ErrorCode::OldTransaction),
            );
        }
    }
    if server.encoding != "UTF8" && !config.outbox.message_prefixes.is_empty() {
        findings.warn(
            "encoding",
            format!("the database's encoding is {}: logical messages go to Kafka in it, not as UTF-8", server.encoding),
            "write ASCII only to cdc.emit_message, or use the outbox table, whose rows are converted",
            None,
        );
    }
    Ok(findings)
}

fn settings(server: &ServerFacts, findings: &mut Findings) {
    match server.too_old() {
        Some(failure) => findings.failed("version", &failure),
        None => findings.ok("version", format!("PostgreSQL {}", server.version_text)),
    }
    match server.wrong_wal_level() {
        Some(failure) => findings.failed("wal_level", &failure),
        None => findings.ok("wal_level", "logical"),
    }
    match server.wal_sender_timeout_ms {
        0 => findings.warn(
            "wal_sender_timeout",
            "is off: the server notices a relay that disappeared only when TCP does, and holds the slot until then",
            "set it to 60s, its default",
            None,
        ),
        short if short < SHORT_SENDER_TIMEOUT_MS => findings.warn(
            "wal_sender_timeout",
            format!("is {short} ms: a short pause of the relay ends the session"),
            "set it to at least 10s",
            None,
        ),
        timeout => findings.ok("wal_sender_timeout", format!("{} s", timeout / 1000)),
    }
    if server.in_recovery {
        findings.warn(
            "primary",
            "the server is a standby",
            "name the primary in `postgres.url`, or all hosts with target_session_attrs=read-write",
            None,
        );
    }
}

fn capacity(server: &ServerFacts, findings: &mut Findings) {
    for (check, (limit, used)) in [
        ("max_replication_slots", server.slots),
        ("max_wal_senders", server.senders),
    ] {
        if used < limit {
            findings.ok(check, format!("{used} of {limit} in use"));
        } else {
            findings.warn(
                check,
                format!("all {limit} are in use"),
                format!("raise {check} unless the relay's own is among them"),
                Some(ErrorCode::NoFreeSlot),
            );
        }
    }
}

fn privileges(role: &RoleFacts, findings: &mut Findings) {
    let RoleFacts {
        name,
        may_replicate,
        ..
    } = role;
    if *may_replicate {
        findings.ok("role", format!("{name:?} may replicate"));
    } else {
        findings.failed(
            "role",
            &Failure::new(
                ErrorCode::Privilege,
                format!("the role {name:?} may not replicate"),
                format!("ALTER ROLE {name:?} REPLICATION; (a managed server has a role for it, such as rds_replication)"),
            ),
        );
    }
}
