//! What is kept of an answer's body, for a person to read.

use http::{HeaderMap, header};

const ELLIPSIS: char = '…';

/// The body as text: at most `limit` bytes and an ellipsis, without control characters (PostgreSQL takes no NUL, a
/// terminal obeys escapes, and marks of direction can hide words). An encoded body is only named: it is never
/// unpacked.
pub(crate) fn excerpt(headers: &HeaderMap, body: &[u8], cut: bool, limit: usize) -> String {
    if let Some(encoding) = headers
        .get(header::CONTENT_ENCODING)
        .filter(|value| *value != "identity")
    {
        let name: String = String::from_utf8_lossy(encoding.as_bytes())
            .chars()
            .filter(|c| printable(*c))
            .take(20)
            .collect();
        return format!("({} bytes, encoded as {name})", body.len());
    }
    let mut text = String::with_capacity(body.len().min(limit));
    let mut whole = !cut;
    'text: for chunk in body.utf8_chunks() {
        let invalid = (!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER);
        for char in chunk.valid().chars().chain(invalid) {
            let char = if printable(char) { char } else { ' ' };
            if text.len() + char.len_utf8() > limit {
                whole = false;
                break 'text;
            }
            text.push(char);
        }
    }
    if !whole {
        text.push(ELLIPSIS);
    }
    text
}

fn printable(char: char) -> bool {
    let hides = matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    matches!(char, '\n' | '\t') || !(char.is_control() || hides)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn plain(body: &[u8], cut: bool, limit: usize) -> String {
        excerpt(&HeaderMap::new(), body, cut, limit)
    }

    #[test]
    fn keeps_a_short_body() {
        assert_eq!(plain(b"no_service\n", false, 100), "no_service\n");
        assert_eq!(plain(b"", false, 100), "");
    }

    #[test]
    fn cuts_between_characters_and_shows_that_it_did() {
        assert_eq!(plain("안녕하세요".as_bytes(), false, 7), "안녕…");
        assert_eq!(plain(b"abc", true, 100), "abc…");
    }

    #[test]
    fn shows_no_character_that_a_database_refuses_or_a_terminal_obeys() {
        assert_eq!(plain(b"a\0b\x1b[31mc\xff", false, 100), "a b [31mc\u{fffd}");
        assert_eq!(plain("\u{202e}x\u{9b}".as_bytes(), false, 100), " x ");
    }

    #[test]
    fn names_an_encoded_body_only() {
        let headers =
            HeaderMap::from_iter([(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
        assert_eq!(
            excerpt(&headers, &[0x1f, 0x8b, 8], true, 100),
            "(3 bytes, encoded as gzip)"
        );
    }

    proptest! {
        #[test]
        fn is_bounded_whatever_comes(body in proptest::collection::vec(any::<u8>(), 0..300), limit in 0_usize..200) {
            let text = plain(&body, false, limit);
            prop_assert!(text.len() <= limit + ELLIPSIS.len_utf8());
            prop_assert!(!text.contains('\0'));
        }
    }
}
