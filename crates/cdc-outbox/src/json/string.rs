//! Strings.

/// Appends a string with its quotation marks, escaped as Jackson does: what lies beyond the basic multilingual plane as
/// two escapes, all other letters as they are.
///
/// `text` is UTF-8, and may have lone surrogates as three bytes each.
pub(crate) fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| !is_plain(*byte)) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        rest = write_special(special, out);
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// A byte that stands for itself. 0xed begins surrogates and some letters, 0xf0 and above what is beyond the plane.
const fn is_plain(byte: u8) -> bool {
    !matches!(byte, 0..=0x1f | b'"' | b'\\' | 0xed | 0xf0..)
}

/// Writes what begins with a byte that is not plain, and gives back what follows it.
fn write_special<'a>(text: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let escaped = |out: &mut Vec<u8>, letter: u8| out.extend([b'\\', letter]);
    match *text {
        [b'"', ref rest @ ..] => {
            escaped(out, b'"');
            rest
        }
        [b'\\', ref rest @ ..] => {
            escaped(out, b'\\');
            rest
        }
        [0x08, ref rest @ ..] => {
            escaped(out, b'b');
            rest
        }
        [0x0c, ref rest @ ..] => {
            escaped(out, b'f');
            rest
        }
        [b'\n', ref rest @ ..] => {
            escaped(out, b'n');
            rest
        }
        [b'\r', ref rest @ ..] => {
            escaped(out, b'r');
            rest
        }
        [b'\t', ref rest @ ..] => {
            escaped(out, b't');
            rest
        }
        [control @ 0..=0x1f, ref rest @ ..] => {
            write_unit(u32::from(control), out);
            rest
        }
        [0xed, second @ 0xa0..=0xbf, third, ref rest @ ..] => {
            write_unit(bits(0xed & 0x0f, &[second, third]), out);
            rest
        }
        [first @ 0xf0..=0xff, second, third, fourth, ref rest @ ..] => {
            let beyond = bits(first & 0x07, &[second, third, fourth]).wrapping_sub(0x1_0000);
            write_unit(0xd800 | (beyond >> 10 & 0x3ff), out);
            write_unit(0xdc00 | (beyond & 0x3ff), out);
            rest
        }
        [other, ref rest @ ..] => {
            out.push(other);
            rest
        }
        [] => &[],
    }
}

/// The number that the first byte's bits and six of each further byte make.
fn bits(first: u8, further: &[u8]) -> u32 {
    further.iter().fold(u32::from(first), |sum, byte| {
        sum << 6 | u32::from(byte & 0x3f)
    })
}

fn write_unit(unit: u32, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        out.push(DIGITS[(unit >> shift & 0xf) as usize]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: impl AsRef<[u8]>) -> String {
        let mut out = Vec::new();
        write_string(text.as_ref(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_as_jackson_does() {
        for (text, json) in [
            ("", r#""""#),
            ("a/b é東 \u{7f}\u{2028}", "\"a/b é東 \u{7f}\u{2028}\""),
            (
                "\"\\\u{8}\u{c}\n\r\t\u{0}\u{1f}",
                r#""\"\\\b\f\n\r\t\u0000\u001F""#,
            ),
            ("x🚀y", r#""x\uD83D\uDE80y""#),
            (
                "\u{d7ff}\u{e000}\u{10ffff}",
                "\"\u{d7ff}\u{e000}\\uDBFF\\uDFFF\"",
            ),
        ] {
            assert_eq!(written(text), json);
        }
        assert_eq!(written([0xed, 0xa0, 0xbd]), r#""\uD83D""#);
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text: String) {
            prop_assert_eq!(serde_json::from_str::<String>(&written(&text)).unwrap(), text);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            write_string(&bytes, &mut Vec::new());
        }
    }
}
