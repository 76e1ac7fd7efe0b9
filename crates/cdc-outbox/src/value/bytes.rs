//! Bytes as text, and back.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// PostgreSQL's hex format of `bytea`: `\x` and two digits a byte. The session asks for it, whatever the server's
/// `bytea_output` is.
pub(super) fn decode_hex(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = hex_digits(text)?.as_chunks::<2>() else {
        return None;
    };
    pairs
        .iter()
        .map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?))
        .collect()
}

/// The digits of PostgreSQL's hex format.
pub(super) fn hex_digits(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(b"\\x")
}

pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn base64_url_safe(bytes: &[u8]) -> String {
    URL_SAFE.encode(bytes)
}

const fn digit(letter: u8) -> Option<u8> {
    match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        b'A'..=b'F' => Some(letter - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytea_text_becomes_its_bytes() {
        assert_eq!(decode_hex(b"\\x00fFa9"), Some(vec![0x00, 0xff, 0xa9]));
        assert_eq!(decode_hex(b"\\x"), Some(vec![]));
        for text in [&b"00"[..], b"\\x0", b"\\x0g", b"", b"\\x+1"] {
            assert_eq!(decode_hex(text), None, "{text:?}");
        }
    }
}
