//! The results as Markdown.

mod throughput;

use std::fmt::Write as _;

use super::target::Limit;
use super::{Figures, Report, Target};
use crate::idle::IdleFigures;
use crate::latency::LatencyFigures;
use crate::latency::webhooks::WebhookFigures;

use throughput::{comparisons, drains};

/// What it was measured on, one table for all targets, two for the drained backlogs, and one for the rest.
pub(crate) fn table(reports: &[Report]) -> String {
    let sections = [
        machines(reports),
        targets(reports),
        drains(reports),
        comparisons(reports),
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

fn rest(reports: &[Report]) -> String {
    let mut rows = String::new();
    for report in reports {
        match &report.figures {
            Figures::Drain(_) | Figures::Comparison(_) => {}
            Figures::Latency(figures) => latency(&mut rows, figures),
            Figures::Webhooks(figures) => webhooks(&mut rows, figures),
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
    let delivery = figures.delivery.name();
    line(
        rows,
        format_args!(
            "| `{delivery}`: commit → record at a consumer, {events} events at {rate:.0}/s | p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, max {:.1} ms |",
            seen.p50_ms, seen.p99_ms, seen.p99_9_ms, seen.max_ms
        ),
    );
    let bound =
        |bound: Option<f64>| bound.map_or("not known".to_owned(), |ms| format!("≤ {ms} ms"));
    let acks = &figures.commit_to_ack_at_most;
    line(
        rows,
        format_args!(
            "| `{delivery}`: commit → broker's acknowledgement, by the relay's histogram | p50 {}, p99 {} |",
            bound(acks.p50_ms),
            bound(acks.p99_ms)
        ),
    );
    line(
        rows,
        format_args!(
            "| `{delivery}`: cdc-relay under this load | {:.1} % of a core, {:.0} MiB at most |",
            figures.cpu_percent, figures.peak_resident_mib
        ),
    );
}

fn webhooks(rows: &mut String, figures: &WebhookFigures) {
    let heard = &figures.commit_to_webhook;
    let (events, rate) = (figures.events, figures.events_per_second);
    line(
        rows,
        format_args!(
            "| commit → webhook, {events} events at {rate:.0}/s to {} endpoints | p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, max {:.1} ms |",
            figures.endpoints, heard.p50_ms, heard.p99_ms, heard.p99_9_ms, heard.max_ms
        ),
    );
    line(
        rows,
        format_args!(
            "| the notifier under this load | {:.1} % of a core, {:.0} MiB at most |",
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
