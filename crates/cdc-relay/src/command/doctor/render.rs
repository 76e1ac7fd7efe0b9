//! The findings as text or JSON.

use super::finding::{Report, Status};
use crate::failure::Failure;
use crate::terminal::Style;

/// For programs: `{"findings": [{"check", "where", "status", "what", "remedy", "code"}]}`.
pub(super) fn json(report: &Report) -> Result<String, Failure> {
    serde_json::to_string_pretty(report).map_err(|error| {
        Failure::internal("the findings cannot be written as JSON").caused_by(error)
    })
}

/// For people: below each place a mark, the check, what was found; below that what to do.
pub(super) fn text(report: &Report, style: Style) -> String {
    let width = report
        .findings
        .iter()
        .map(|finding| finding.check.len())
        .max()
        .unwrap_or_default();
    let mut lines = Vec::new();
    let mut place = "";
    for finding in &report.findings {
        if finding.place != place {
            place = &finding.place;
            lines.push(style.bold(place));
        }
        let mark = match (finding.status, style.is_fancy()) {
            (Status::Ok, true) => style.green("✓"),
            (Status::Warn, true) => style.yellow("!"),
            (Status::Fail, true) => style.red("✗"),
            (Status::Ok, false) => "ok  ".to_owned(),
            (Status::Warn, false) => "warn".to_owned(),
            (Status::Fail, false) => "FAIL".to_owned(),
        };
        let code = finding
            .code
            .map_or(String::new(), |code| format!(" [{code}]"));
        lines.push(format!(
            "  {mark} {:width$}  {}{code}",
            finding.check, finding.what
        ));
        if let Some(remedy) = &finding.remedy {
            lines.push(format!("       {:width$}  -> {remedy}", ""));
        }
    }
    lines.push(format!(
        "{} in order, {} to look at, {} failed",
        report.count(Status::Ok),
        report.count(Status::Warn),
        report.count(Status::Fail)
    ));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::finding::Findings;
    use super::*;
    use crate::error_code::ErrorCode;

    fn report() -> Report {
        let mut report = Report::default();
        let mut server = Findings::at("db:5432/app");
        server.ok("version", "fine");
        server.ok("wal_level", "logical");
        report.add(server);
        let mut slot = Findings::at("slot \"s\"");
        slot.failed(
            "slot",
            &Failure::new(ErrorCode::SlotMissing, "it is gone", "make it"),
        );
        report.add(slot);
        report
    }

    #[test]
    fn a_pipe_gets_plain_ascii_with_each_place_once() {
        let text = text(&report(), Style::PLAIN);
        assert!(text.is_ascii(), "{text}");
        assert!(
            text.starts_with("db:5432/app\n  ok   version    fine\n  ok   wal_level"),
            "{text}"
        );
        assert!(
            text.contains("slot \"s\"\n  FAIL slot       it is gone [CDC0023]"),
            "{text}"
        );
        assert!(text.contains("-> make it"), "{text}");
        assert!(
            text.ends_with("2 in order, 0 to look at, 1 failed"),
            "{text}"
        );
    }

    #[test]
    fn json_names_place_status_and_code() {
        let json: serde_json::Value = serde_json::from_str(&json(&report()).unwrap()).unwrap();
        assert_eq!(json["findings"][0]["status"], "ok");
        assert_eq!(json["findings"][0]["where"], "db:5432/app");
        assert_eq!(json["findings"][2]["status"], "fail");
        assert_eq!(json["findings"][2]["code"], "CDC0023");
    }
}
