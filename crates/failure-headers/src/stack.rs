//! The causes of an error and its backtrace as one text, in the form of Java's stack traces.

use crate::report::FailureReport;
use crate::text::shortened;

const CAUSE: &str = "Caused by: ";
/// Starts the further lines of a cause.
const CONTINUED: &str = "\t| ";

/// The code, then a line for each cause, then an empty line and the backtrace: at most `bytes`, of which the causes
/// come first.
pub(crate) fn rendered(report: &FailureReport, code: &str, bytes: usize) -> String {
    let mut text = code.to_owned();
    for cause in &report.chain {
        text.push('\n');
        text.push_str(CAUSE);
        text.push_str(&cause.replace('\n', &format!("\n{CONTINUED}")));
    }
    if let Some(backtrace) = &report.backtrace {
        text.push_str("\n\n");
        text.push_str(backtrace);
    }
    shortened(&text, bytes)
}

/// Bytes that the causes take in [`rendered`], with the code.
pub(crate) fn causes_length(report: &FailureReport, code: &str) -> usize {
    let cause = |cause: &String| {
        let lines = cause.matches('\n').count();
        1 + CAUSE.len() + cause.len() + lines * CONTINUED.len()
    };
    code.len() + report.chain.iter().map(cause).sum::<usize>()
}

/// The causes and the backtrace of what [`rendered`] made.
pub(crate) fn parsed(text: &str) -> (Vec<String>, Option<String>) {
    let (causes, backtrace) = match text.split_once("\n\n") {
        Some((causes, backtrace)) => (causes, Some(backtrace.to_owned())),
        None => (text, None),
    };
    let mut chain: Vec<String> = Vec::new();
    for line in causes.split('\n').skip(1) {
        if let Some(cause) = line.strip_prefix(CAUSE) {
            chain.push(cause.to_owned());
        } else if let (Some(more), Some(last)) = (line.strip_prefix(CONTINUED), chain.last_mut()) {
            last.push('\n');
            last.push_str(more);
        }
    }
    (chain, backtrace)
}

/// The causes that a stack trace of Java names.
pub(crate) fn causes_of_java(text: &str) -> Vec<String> {
    let lines = text.lines();
    lines
        .filter_map(|line| line.strip_prefix(CAUSE))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use cdc_event::ErrorCode;

    use super::*;

    #[test]
    fn causes_and_backtrace_come_back_with_their_lines() {
        let report = FailureReport {
            code: ErrorCode::from_static("x"),
            message: "not done".into(),
            chain: vec![
                "first\n\nof three lines".into(),
                "Caused by: nobody".into(),
                String::new(),
            ],
            backtrace: Some("   0: main\n\n   1: start".into()),
        };
        let text = rendered(&report, "x", 10_000);
        assert_eq!(
            parsed(&text),
            (report.chain.clone(), report.backtrace.clone())
        );
        let without = FailureReport {
            backtrace: None,
            ..report
        };
        assert_eq!(
            causes_length(&without, "x"),
            rendered(&without, "x", 10_000).len()
        );
    }

    #[test]
    fn reads_the_causes_of_a_java_stack_trace() {
        let text = "a.B: c\n\tat d.E\nCaused by: f.G: h\n\tat i.J\nCaused by: k.L\n";
        assert_eq!(causes_of_java(text), ["f.G: h", "k.L"]);
    }
}
