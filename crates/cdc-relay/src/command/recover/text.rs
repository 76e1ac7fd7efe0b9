//! Failed events as text for people.

use std::time::SystemTime;

use cdc_store::FailedEvent;

/// Characters of a key or message in a table.
const CELL: usize = 48;

/// A table, one line for each event.
pub(super) fn table(events: &[FailedEvent]) -> String {
    let mut rows = vec![
        [
            "ID",
            "STATUS",
            "LAST FAILURE",
            "ATTEMPTS",
            "CODE",
            "TOPIC",
            "KEY",
            "ERROR",
        ]
        .map(str::to_owned),
    ];
    rows.extend(events.iter().map(|event| {
        let topic = event.target.as_ref().map(|target| target.topic.as_str());
        [
            event.id.to_string(),
            event.status.to_string(),
            time(event.last_failed_at),
            event.attempts.to_string(),
            event.error.code().to_owned(),
            topic.unwrap_or("-").to_owned(),
            event
                .key
                .as_deref()
                .map_or("-".to_owned(), |key| cell(&bytes(key))),
            cell(event.error.message()),
        ]
    }));
    aligned(&rows)
}

/// Columns as wide as their widest cell, two spaces between.
pub(in crate::command) fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// To the second, in UTC.
pub(in crate::command) fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// Text with what a terminal would act on shown as an escape; what is no text is shown as bytes.
pub(super) fn bytes(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => printable(text),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}

/// Text with what a terminal would act on shown as an escape; lines and tabs stay.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() && !matches!(letter, '\n' | '\t') {
            out.extend(letter.escape_default());
        } else {
            out.push(letter);
        }
    }
    out
}

/// One line of bounded length.
fn cell(text: &str) -> String {
    let line: String = printable(text)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    match line.char_indices().nth(CELL) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_an_event_acts_on_the_terminal() {
        assert_eq!(bytes(b"a\x1b[31mb\r\nc"), "a\\u{1b}[31mb\\r\nc");
        assert_eq!(bytes(&[0xff, b'a', 0x1b]), "\\xffa\\x1b");
        assert_eq!(cell("two\n lines"), "two lines");
        assert_eq!(cell(&"ü".repeat(100)).chars().count(), CELL + 1);
    }

    #[test]
    fn columns_line_up() {
        let rows = [
            ["a".to_owned(), "b".to_owned()],
            ["äöü".to_owned(), "c".to_owned()],
        ];
        assert_eq!(aligned(&rows), "a    b\näöü  c");
    }
}
