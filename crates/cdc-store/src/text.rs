//! Text as PostgreSQL can store it.

use std::borrow::Cow;

const REPLACEMENT: &str = "\u{FFFD}";
const CUT: &str = "…";

/// The text without NUL, which no text in PostgreSQL can hold.
pub(crate) fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', REPLACEMENT))
    } else {
        Cow::Borrowed(text)
    }
}

/// The text without NUL, cut to at most `bytes` (at least 3); what was cut ends in `…`.
pub(crate) fn bounded(text: &str, bytes: usize) -> String {
    let text = without_nul(text);
    if text.len() <= bytes {
        return text.into_owned();
    }
    let mut end = bytes.saturating_sub(CUT.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{CUT}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_between_characters_and_stays_within_the_bound() {
        for bytes in 3..40 {
            let cut = bounded(&"aüß€😀".repeat(9), bytes);
            assert!(cut.len() <= bytes && cut.ends_with(CUT), "{bytes}: {cut}");
        }
        assert_eq!(bounded("short", 5), "short");
    }

    #[test]
    fn replaces_what_no_text_can_hold() {
        assert_eq!(bounded("a\0b", 100), "a\u{FFFD}b");
        assert_eq!(without_nul("ab"), "ab");
    }
}
