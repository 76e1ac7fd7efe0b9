//! The results as Markdown.

use std::fmt::Write as _;

use super::target::Limit;
use super::{Figures, Report, Target};
use crate::drain::DrainFigures;
use crate::idle::IdleFigures;
use crate::latency::LatencyFigures;

/// One table for the drained backlogs, one for all targets, and what they were measured on.
pub(crate) fn table(reports: &[Report]) -> String {
    let sections = [
        machines(reports),
        targets(reports),
        drains(reports),
        rest(reports),
    ];
    let sections: Vec<_> = sections
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    sections.join("\n")
}

fn machines(reports: &[Report]) -> String {
    let mut lines = String::new();
    let mut known = Vec::new();
    for Report { machine, .. } in reports {
        if !known.contains(&machine) {
            known.push(machine);
            line(
                &mut lines,
                format_args!(
                    "Measured on {} cores ({}), PostgreSQL {}, Kafka {}.",
                    machine.cores, machine.processor, machine.postgresql, machine.kafka
                ),
            );
        }
    }
    lines
}

fn targets(reports: &[Report]) -> String {
    let mut text = "| case | figure | target | measured | |\n|---|---|---|---|---|\n".to_owned();
    for report in reports {
        for target in &report.targets {
            let Target {
                figure, measured, ..
            } = target;
            let limit = match target.limit {
                Limit::AtLeast(limit) => format!("≥ {limit}"),
                Limit::AtMost(limit) => format!("≤ {limit}"),
            };
            let met = if target.met { "met" } else { "**missed**" };
            line(
                &mut text,
                format_args!(
                    "| {} | `{figure}` | {limit} | {measured:.2} | {met} |",
                    report.case
                ),
            );
        }
    }
    text
}

fn drains(reports: &[Report]) -> String {
    let mut rows = String::new();
    for report in reports {
        if let Figures::Drain(figures) = &report.figures {
            line(&mut rows, format_args!("{}", drain(&report.case, figures)));
        }
    }
    if rows.is_empty() {
        return rows;
    }
    let header = "| case | rows | rounds | pg_recvlogical, rows/s | cdc-relay, rows/s | ratio | after the first record, rows/s | ratio \
                  | CPU a row: cdc-relay | walsender, to cdc-relay | walsender, to pg_recvlogical | peak memory |\n\
                  |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
    header.to_owned() + &rows
}

fn drain(case: &str, figures: &DrainFigures) -> String {
    format!(
        "| {case} | {} | {} | {:.0} | {:.0} | **{:.2}** | {:.0} | {:.2} | {:.1} µs | {:.1} µs | {:.1} µs | {:.0} MiB |",
        figures.rows,
        figures.rounds.len(),
        figures.median(|round| round.reference.rows_per_second),
        figures.median(|round| round.relay.rows_per_second),
        figures.ratio,
        figures.median(|round| round.relay.rows_per_second_after_first_record),
        figures.ratio_after_first_record,
        figures.median(|round| round.relay.cpu_us_per_row),
        figures.median(|round| round.relay.walsender_cpu_us_per_row),
        figures.median(|round| round.reference.walsender_cpu_us_per_row),
        figures.peak_resident_mib,
    )
}

fn rest(reports: &[Report]) -> String {
    let mut rows = String::new();
    for report in reports {
        match &report.figures {
            Figures::Drain(_) => {}
            Figures::Latency(figures) => latency(&mut rows, figures),
            Figures::Idle(figures) => idle(&mut rows, figures),
        }
    }
    if rows.is_empty() {
        return rows;
    }
    "| figure | measured |\n|---|---|\n".to_owned() + &rows
}

fn latency(rows: &mut String, figures: &LatencyFigures) {
    let seen = &figures.commit_to_consumer;
    let (events, rate) = (figures.events, figures.events_per_second);
    line(
        rows,
        format_args!(
            "| commit → record at a consumer, {events} events at {rate:.0}/s | p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, max {:.1} ms |",
            seen.p50_ms, seen.p99_ms, seen.p99_9_ms, seen.max_ms
        ),
    );
    let bound =
        |bound: Option<f64>| bound.map_or("not known".to_owned(), |ms| format!("≤ {ms} ms"));
    let acks = &figures.commit_to_ack_at_most;
    line(
        rows,
        format_args!(
            "| commit → broker's acknowledgement, by the relay's histogram | p50 {}, p99 {} |",
            bound(acks.p50_ms),
            bound(acks.p99_ms)
        ),
    );
    line(
        rows,
        format_args!(
            "| cdc-relay under this load | {:.1} % of a core, {:.0} MiB at most |",
            figures.cpu_percent, figures.peak_resident_mib
        ),
    );
}

fn idle(rows: &mut String, figures: &IdleFigures) {
    line(
        rows,
        format_args!(
            "| cdc-relay idle, over {:.0} s | {:.2} % of a core, {:.0} MiB |",
            figures.seconds, figures.cpu_percent, figures.resident_mib
        ),
    );
}

/// Adds a line; a `String` takes everything.
fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").ok();
}
