//! Text within bounds.

const CUT: &str = "…";

/// The text in at most `bytes`, cut between characters; what was cut ends in `…` if there is room for it.
pub(crate) fn bounded(text: &str, bytes: usize) -> &str {
    &text[..floor(text, bytes)]
}

/// As [`bounded`], with `…` in place of what was cut.
pub(crate) fn shortened(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    match bytes.checked_sub(CUT.len()) {
        Some(room) => format!("{}{CUT}", bounded(text, room)),
        None => String::new(),
    }
}

fn floor(text: &str, bytes: usize) -> usize {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_between_characters_and_stays_within_the_bound() {
        let text = "aüß€😀".repeat(9);
        for bytes in 0..text.len() {
            let cut = shortened(&text, bytes);
            assert!(cut.len() <= bytes, "{bytes}: {cut}");
            assert!(bytes < 3 || cut.ends_with(CUT), "{bytes}: {cut}");
            assert!(bounded(&text, bytes).len() <= bytes);
        }
        assert_eq!(shortened("short", 5), "short");
    }
}
