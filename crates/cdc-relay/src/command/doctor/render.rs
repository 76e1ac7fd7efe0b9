//! The findings as text or JSON.

use super::finding::{Findings, Status};
use crate::failure::Failure;
use crate::terminal::Style;

/// For programs: `{"findings": [{"check", "status", "what", "remedy", "code"}]}`.
pub(super) fn json(findings: &Findings) -> Result<String, Failure> {
    serde_json::to_string_pretty(findings).map_err(|error| {
        Failure::internal("the findings cannot be written as JSON").caused_by(error)
    })
}

/// For people: a mark, the check, what was found; below it what to do.
pub(super) fn text(findings: &Findings, style: Style) -> String {
    let width = findings
        .findings
        .iter()
        .map(|finding| finding.check.len())
        .max()
        .unwrap_or_default();
    let mut lines = Vec::new();
    for finding in &findings.findings {
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
            "{mark} {:width$}  {}{code}",
            finding.check, finding.what
        ));
        if let Some(remedy) = &finding.remedy {
            lines.push(format!("     {:width$}  -> {remedy}", ""));
        }
    }
    lines.push(format!(
        "{} in order, {} to look at, {} failed",
        findings.count(Status::Ok),
        findings.count(Status::Warn),
        findings.count(Status::Fail)
    ));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error_code::ErrorCode;

    fn findings() -> Findings {
        let mut findings = Findings::default();
        findings.ok("server", "fine");
        findings.failed(
            "slot",
            &Failure::new(ErrorCode::SlotMissing, "it is gone", "make it"),
        );
        findings
    }

    #[test]
    fn a_pipe_gets_plain_ascii() {
        let text = text(&findings(), Style::PLAIN);
        assert!(text.is_ascii(), "{text}");
        assert!(text.contains("FAIL slot    it is gone [CDC0023]"), "{text}");
        assert!(text.contains("-> make it"), "{text}");
        assert!(
            text.ends_with("1 in order, 0 to look at, 1 failed"),
            "{text}"
        );
    }

    #[test]
    fn json_names_status_and_code() {
        let json: serde_json::Value = serde_json::from_str(&json(&findings()).unwrap()).unwrap();
        assert_eq!(json["findings"][0]["status"], "ok");
        assert_eq!(json["findings"][1]["status"], "fail");
        assert_eq!(json["findings"][1]["code"], "CDC0023");
    }
}
