//! The state as text for people.

use bytesize::ByteSize;

use super::consumers::{Consumers, EndpointCounts};
use super::{Report, SlotReport};
use crate::command::amount::{rate, span};
use crate::config::Config;
use crate::database::SlotState;
use crate::relay_state::Snapshot;

/// Lines of a name and its value.
pub(super) fn text(report: &Report, config: &Config) -> String {
    let mut rows = Vec::new();
    if report.shards.is_empty() {
        of_shard(&report.slot, &mut rows);
    }
    for shard in &report.shards {
        of_shard(shard, &mut rows);
    }
    match (&report.relay, &config.admin.listen) {
        (Some(relay), _) => of_relay(relay, report, &mut rows),
        (None, Some(listen)) => rows.push(("relay", format!("none answers on {listen}"))),
        (None, None) => rows.push(("relay", "cannot be asked: admin.listen is empty".to_owned())),
    }
    of_consumers(&report.consumers, &mut rows);
    rows.iter()
        .map(|(name, value)| format!("{name:<15} {value}"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn of_consumers(consumers: &Consumers, rows: &mut Vec<(&'static str, String)>) {
    for backlog in &consumers.groups {
        let count =
            |count: Option<u64>| count.map_or("unknown".to_owned(), |count| count.to_string());
        rows.push(("group", backlog.group.clone()));
        rows.push(("  to be read", count(backlog.sources)));
        rows.push(("  in retries", count(backlog.retries)));
        rows.push((
            "  dead letters",
            format!("{} not stored yet", count(backlog.dead_letters)),
        ));
        if let Some(waiting) = &backlog.waiting {
            let oldest = match waiting.keys {
                0 => String::new(),
                _ => format!(", the first for {}", span(waiting.oldest_seconds)),
            };
            let (records, keys, held) = (waiting.records, waiting.keys, waiting.held_keys);
            let text = format!("{records} records of {keys} keys, {held} of them held{oldest}");
            rows.push(("  waiting", text));
        }
    }
    if let Some(EndpointCounts {
        enabled,
        disabled,
        failing,
    }) = consumers.endpoints
        && enabled + disabled > 0
    {
        let text = format!("{enabled} enabled, {failing} of them failing; {disabled} disabled");
        rows.push(("endpoints", text));
    }
    match consumers.open_failures {
        Some(0) | None => {}
        Some(open) => rows.push((
            "failed events",
            format!("{open} open; see `cdc-relay recover stats`"),
        )),
    }
}

fn of_shard(report: &SlotReport, rows: &mut Vec<(&'static str, String)>) {
    rows.push(("slot", report.name.clone()));
    match &report.slot {
        Some(slot) => of_slot(slot, rows),
        None => rows.push(("", "does not exist; `cdc-relay init` makes it".to_owned())),
    }
    let Some(pace) = &report.pace else { return };
    let confirmed = rate(pace.confirmed_bytes_per_second);
    let written = rate(pace.wal_bytes_per_second);
    rows.push((
        "  pace",
        format!("{written}/s written, {confirmed}/s confirmed"),
    ));
    if let (Some(left), false) = (pace.seconds_until_lost, pace.follows) {
        rows.push(("  lost in", format!("{}, if it does not move", span(left))));
    }
}

fn of_slot(slot: &SlotState, rows: &mut Vec<(&'static str, String)>) {
    let unknown = || "unknown".to_owned();
    let idle = slot
        .inactive_seconds
        .map_or(String::new(), |idle| format!(", for {}", span(idle)));
    rows.push((
        "  held by",
        slot.holder
            .as_ref()
            .map_or_else(|| format!("nobody{idle}"), ToString::to_string),
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
    if let Some(reason) = &slot.invalidation_reason {
        rows.push(("  invalidated", reason.clone()));
    }
    if let Some(mismatch) = slot.mismatch() {
        rows.push(("  unusable", format!("it {mismatch}")));
    }
}

fn of_relay(relay: &Snapshot, report: &Report, rows: &mut Vec<(&'static str, String)>) {
    let phase = format!("{:?}", relay.phase).to_lowercase();
    rows.push((
        "relay",
        format!(
            "{phase} for {:.0} s (version {})",
            relay.phase_seconds, relay.version
        ),
    ));
    let now = report.throughput.map_or(String::new(), |now| {
        format!(", {:.1} a second now", now.events_per_second)
    });
    rows.push((
        "  events",
        format!("{} since it started{now}", relay.events_total),
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
