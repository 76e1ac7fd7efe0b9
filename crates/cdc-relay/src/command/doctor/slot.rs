//! The replication slot: who streams from it, what it keeps, and how long it will live.

use bytesize::ByteSize;

use super::finding::Findings;
use crate::command::amount::{rate, span};
use crate::config::Config;
use crate::database::{Pace, ServerFacts, SlotState};
use crate::error_code::ErrorCode;
use crate::failure::Failure;

/// Retained log that deserves a look, when nothing limits it.
const MUCH: u64 = 10 << 30;
/// With less time than this until it is lost, a slot deserves a look.
const SOON_SECONDS: f64 = 24.0 * 3600.0;
/// After this long without a relay, somebody should know.
const LONG_IDLE_SECONDS: f64 = 3600.0;

/// True when the slot can be streamed from.
pub(super) fn check(slot: Option<&SlotState>, config: &Config, findings: &mut Findings) -> bool {
    let Some(slot) = slot else {
        let failure = Failure::new(
            ErrorCode::SlotMissing,
            format!(
                "the replication slot {:?} does not exist",
                config.relay.slot.as_str()
            ),
            "run `cdc-relay init`, or correct `relay.slot`",
        );
        findings.failed("slot", &failure);
        return false;
    };
    if let Some(mismatch) = slot.mismatch() {
        findings.failed("slot", &Failure::slot_foreign(&slot.name, &mismatch));
        return false;
    }
    if slot.is_lost() {
        findings.failed("slot", &Failure::slot_lost(&slot.name));
        return false;
    }
    match (&slot.holder, slot.inactive_seconds) {
        (Some(holder), _) => findings.ok("slot", format!("in use by {holder}")),
        (None, Some(idle)) if idle > LONG_IDLE_SECONDS => findings.warn(
            "slot",
            format!("nobody has streamed from it for {}", span(idle)),
            "start the relay; if nobody needs the slot, drop it",
            None,
        ),
        (None, _) => findings.ok("slot", "is free"),
    }
    true
}

/// What the slot keeps, and when it will be lost. A slot that nobody reads keeps log until the disk is full, unless the
/// server has a limit.
pub(super) fn retained(
    slot: &SlotState,
    server: &ServerFacts,
    pace: &Pace,
    findings: &mut Findings,
) {
    let retained = u64::try_from(slot.retained_bytes.unwrap_or_default()).unwrap_or_default();
    let size = ByteSize(retained);
    let written = format!("the server writes {}/s", rate(pace.wal_bytes_per_second));
    let limit = u64::try_from(server.max_slot_wal_keep_mib).map(|limit| limit << 20);
    let kept = match limit {
        Ok(limit) => format!("{size} of at most {} are kept", ByteSize(limit)),
        Err(_) => format!("{size} are kept, without a limit"),
    };
    let in_danger = matches!(slot.wal_status.as_deref(), Some("unreserved" | "extended"))
        && limit.is_ok_and(|limit| retained > limit / 2);
    let find_out = "find out why the slot does not move (`cdc-relay status`)";
    match pace.seconds_until_lost {
        _ if slot.wal_status.as_deref() == Some("unreserved") => findings.warn(
            "retained WAL",
            format!("{kept}, which is too much: the slot is lost at the next checkpoint unless the relay catches up"),
            format!("raise max_slot_wal_keep_size and reload now, then {find_out}"),
            Some(ErrorCode::SlotLost),
        ),
        Some(left) if !pace.follows && left < SOON_SECONDS => findings.warn(
            "retained WAL",
            format!("{kept}; {written}: if the slot does not move, it is lost in {}", span(left)),
            format!("{find_out}, or raise max_slot_wal_keep_size"),
            Some(ErrorCode::SlotLost),
        ),
        _ if in_danger => findings.warn(
            "retained WAL",
            format!("{kept} (max_slot_wal_keep_size); beyond it the slot is lost; {written}"),
            format!("{find_out}, or raise max_slot_wal_keep_size"),
            Some(ErrorCode::SlotLost),
        ),
        _ if limit.is_err() && retained > MUCH => findings.warn(
            "retained WAL",
            format!("{kept} (max_slot_wal_keep_size = -1); {written}: the disk can fill up"),
            format!("{find_out}; set max_slot_wal_keep_size"),
            None,
        ),
        Some(left) if pace.follows => findings.ok(
            "retained WAL",
            format!("{kept}; {written}: without a relay it would be lost in {}", span(left)),
        ),
        Some(left) => findings.ok(
            "retained WAL",
            format!("{kept}; {written}: if the slot does not move, it is lost in {}", span(left)),
        ),
        None => findings.ok("retained WAL", format!("{kept}; {written}")),
    }
    lag(slot, pace, findings);
}

fn lag(slot: &SlotState, pace: &Pace, findings: &mut Findings) {
    let lag = ByteSize(u64::try_from(slot.lag_bytes.unwrap_or_default()).unwrap_or_default());
    if slot.holder.is_some() && !pace.follows {
        findings.warn(
            "lag",
            format!("{lag} are not confirmed, and nothing was confirmed just now"),
            "look at the relay's log and `/readyz`: Kafka may be away, or a long transaction is being sent",
            None,
        );
    } else {
        findings.ok("lag", format!("{lag} are not confirmed"));
    }
}
