//! The state as text for people.

use bytesize::ByteSize;

use super::Report;
use crate::admin::Snapshot;
use crate::config::Config;
use crate::database::SlotState;

/// Lines of a name and its value.
pub(super) fn text(report: &Report, config: &Config) -> String {
    let mut rows = vec![("slot", config.relay.slot.to_string())];
    match &report.slot {
        Some(slot) => of_slot(slot, &mut rows),
        None => rows.push(("", "does not exist; `cdc-relay init` makes it".to_owned())),
    }
    match (&report.relay, &config.admin.listen) {
        (Some(relay), _) => of_relay(relay, &mut rows),
        (None, Some(listen)) => rows.push(("relay", format!("none answers on {listen}"))),
        (None, None) => rows.push(("relay", "cannot be asked: admin.listen is empty".to_owned())),
    }
    rows.iter()
        .map(|(name, value)| format!("{name:<15} {value}"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn of_slot(slot: &SlotState, rows: &mut Vec<(&'static str, String)>) {
    let unknown = || "unknown".to_owned();
    rows.push((
        "  held by",
        slot.holder
            .as_ref()
            .map_or_else(|| "nobody".to_owned(), ToString::to_string),
    ));
    rows.push((
        "  confirmed",
        slot.confirmed_lsn.clone().unwrap_or_else(unknown),
    ));
    rows.push(("  lag", bytes(slot.lag_bytes)));
    rows.push(("  retained WAL", bytes(slot.retained_bytes)));
    let safe = slot.safe_bytes.map_or(String::new(), |safe| {
        format!(" ({} until it is lost)", bytes(Some(safe)))
    });
    rows.push((
        "  WAL status",
        format!("{}{safe}", slot.wal_status.clone().unwrap_or_else(unknown)),
    ));
    if let Some(mismatch) = slot.mismatch() {
        rows.push(("  unusable", format!("it {mismatch}")));
    }
}

fn of_relay(relay: &Snapshot, rows: &mut Vec<(&'static str, String)>) {
    let phase = format!("{:?}", relay.phase).to_lowercase();
    rows.push((
        "relay",
        format!(
            "{phase} for {:.0} s (version {})",
            relay.phase_seconds, relay.version
        ),
    ));
    rows.push((
        "  events",
        format!(
            "{} since it started, {:.1} a second",
            relay.events_total, relay.events_per_second
        ),
    ));
    rows.push((
        "  in flight",
        format!(
            "{} ({})",
            relay.in_flight_events,
            ByteSize(relay.in_flight_bytes as u64)
        ),
    ));
    rows.push((
        "  lag",
        relay
            .lag_seconds
            .map_or("unknown".to_owned(), |lag| format!("{lag:.1} s")),
    ));
    if let Some(error) = &relay.last_error {
        let when = if error.current { "now" } else { "earlier" };
        rows.push((
            "  error",
            format!("{} ({when}): {}", error.code, error.message),
        ));
    }
}

fn bytes(count: Option<i64>) -> String {
    match count.map(u64::try_from) {
        Some(Ok(count)) => ByteSize(count).to_string(),
        Some(Err(_)) => "0 B".to_owned(),
        None => "unknown".to_owned(),
    }
}
