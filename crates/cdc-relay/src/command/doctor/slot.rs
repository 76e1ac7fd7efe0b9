//! The replication slot.

use bytesize::ByteSize;

use super::finding::Findings;
use crate::command::init;
use crate::config::Config;
use crate::database::{Database, SlotState};
use crate::error_code::ErrorCode;
use crate::failure::Failure;

/// Retained log that deserves a look, when nothing limits it.
const MUCH: u64 = 10 << 30;

pub(super) async fn check(database: &Database, config: &Config) -> Result<Findings, Failure> {
    let mut findings = Findings::default();
    let Some(slot) = database.slot(config).await? else {
        let failure = Failure::new(
            ErrorCode::SlotMissing,
            format!(
                "the replication slot {:?} does not exist",
                config.relay.slot.as_str()
            ),
            "run `cdc-relay init`, or correct `relay.slot`",
        );
        findings.failed("slot", &failure);
        return Ok(findings);
    };
    if let Some(mismatch) = slot.mismatch() {
        findings.failed("slot", &init::slot_foreign(&slot.name, &mismatch));
        return Ok(findings);
    }
    if slot.is_lost() {
        findings.failed("slot", &init::slot_lost(&slot.name));
        return Ok(findings);
    }
    match &slot.holder {
        Some(holder) => findings.ok("slot", format!("{:?} is in use by {holder}", slot.name)),
        None => findings.ok("slot", format!("{:?} is free", slot.name)),
    }
    let server = database.server(config).await?;
    retained(&slot, server.max_slot_wal_keep_mib, &mut findings);
    Ok(findings)
}

/// A slot that nobody reads keeps log until the disk is full, unless the server has a limit.
fn retained(slot: &SlotState, limit_mib: i64, findings: &mut Findings) {
    let retained = u64::try_from(slot.retained_bytes.unwrap_or_default()).unwrap_or_default();
    let size = ByteSize(retained);
    let Ok(limit_mib) = u64::try_from(limit_mib) else {
        if retained > MUCH {
            findings.warn(
                "retained WAL",
                format!("{size}, without a limit (max_slot_wal_keep_size = -1): the disk can fill up"),
                "find out why the slot does not move (`cdc-relay status`); set max_slot_wal_keep_size",
                None,
            );
        } else {
            findings.ok(
                "retained WAL",
                format!("{size}, without a limit (max_slot_wal_keep_size = -1)"),
            );
        }
        return;
    };
    let limit = ByteSize(limit_mib << 20);
    if retained > (limit_mib << 20) / 2 {
        findings.warn(
            "retained WAL",
            format!(
                "{size} of at most {limit} (max_slot_wal_keep_size); beyond it the slot is lost"
            ),
            "find out why the slot does not move (`cdc-relay status`), or raise the limit",
            Some(ErrorCode::SlotLost),
        );
    } else {
        findings.ok(
            "retained WAL",
            format!("{size} of at most {limit} (max_slot_wal_keep_size)"),
        );
    }
}
