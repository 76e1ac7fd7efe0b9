//! The server's settings.

use super::finding::Findings;
use crate::config::Config;
use crate::database::ServerFacts;
use crate::error_code::ErrorCode;

/// Below this the relay's own pauses, such as one on a busy machine, come near to it.
const SHORT_SENDER_TIMEOUT_MS: i64 = 2_000;

pub(super) fn check(server: &ServerFacts, config: &Config, findings: &mut Findings) {
    match server.too_old() {
        Some(failure) => findings.failed("version", &failure),
        None => findings.ok("version", format!("PostgreSQL {}", server.version_text)),
    }
    match server.wrong_wal_level() {
        Some(failure) => findings.failed("wal_level", &failure),
        None => findings.ok("wal_level", "logical"),
    }
    if server.in_recovery {
        findings.warn(
            "primary",
            "the server is a standby",
            "name the primary in `postgres.url`, or all hosts with target_session_attrs=read-write",
            None,
        );
    }
    capacity(server, findings);
    sender_timeout(server, findings);
    disk_guard(server, findings);
    idle_timeout(server, findings);
    if server.encoding != "UTF8" && !config.outbox.message_prefixes.is_empty() {
        findings.warn(
            "encoding",
            format!(
                "the database's encoding is {}: logical messages go to Kafka in it, not as UTF-8",
                server.encoding
            ),
            "write ASCII only to cdc.emit_message, or use the outbox table, whose rows are converted",
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
            findings.ok(
                check,
                format!("{used} of {limit} in use, {} free", limit - used),
            );
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

fn sender_timeout(server: &ServerFacts, findings: &mut Findings) {
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
}

/// What keeps a slot that nobody reads from filling the disk.
fn disk_guard(server: &ServerFacts, findings: &mut Findings) {
    match server.max_slot_wal_keep_mib {
        ..0 => findings.warn(
            "disk guard",
            "max_slot_wal_keep_size is -1: while no relay streams, log is kept until the disk is full, and then \
             the database stops",
            "set max_slot_wal_keep_size to what the disk can spare. Beyond it the slot is lost, and events have to be \
             sent again from the outbox table: watch the retained WAL as well",
            None,
        ),
        limit => findings.ok(
            "disk guard",
            format!("a slot keeps at most {limit} MiB (max_slot_wal_keep_size)"),
        ),
    }
}

fn idle_timeout(server: &ServerFacts, findings: &mut Findings) {
    match server.idle_slot_timeout_seconds {
        Some(seconds) if seconds > 0 => findings.warn(
            "idle timeout",
            format!(
                "idle_replication_slot_timeout is {seconds} s: a slot that no relay has used for so long is \
                 invalidated, however little log it keeps"
            ),
            "let max_slot_wal_keep_size alone guard the disk (idle_replication_slot_timeout = 0), or make sure that no \
             relay is ever down that long",
            Some(ErrorCode::SlotLost),
        ),
        Some(_) => findings.ok("idle timeout", "idle_replication_slot_timeout is off"),
        None => {}
    }
}
