//! Reads a document as Jackson does with its defaults.

use std::borrow::Cow;

use super::{Node, NotJson, Object};

/// Jackson's limits (`StreamReadConstraints`).
const DEEPEST: usize = 1000;
const LONGEST_NUMBER: usize = 1000;
const LONGEST_NAME: usize = 50_000;

/// Reads the first value of the text. What follows it is ignored, as Jackson does.
pub(crate) fn parse(text: &[u8]) -> Result<Node<'_>, NotJson> {
    let mut parser = Parser { text, depth: 0 };
    parser.skip_space();
    parser.value()
}

struct Parser<'a> {
    text: &'a [u8],
    depth: usize,
}

impl<'a> Parser<'a> {
    fn value(&mut self) -> Result<Node<'a>, NotJson> {
        match self.text.first().ok_or(NotJson)? {
            b'{' => self.nested(Self::object),
            b'[' => self.nested(Self::array),
            b'"' => self.string().map(Node::Text),
            b't' => self.word(b"true", Node::Boolean(true)),
            b'f' => self.word(b"false", Node::Boolean(false)),
            b'n' => self.word(b"null", Node::Null),
            _ => self.number(),
        }
    }

    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Node<'a>, NotJson>,
    ) -> Result<Node<'a>, NotJson> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(NotJson);
        }
        self.advance(1);
        self.skip_space();
        let node = read(self);
        self.depth -= 1;
        node
    }

    fn object(&mut self) -> Result<Node<'a>, NotJson> {
        let mut object = Object::default();
        if self.take(b'}') {
            return Ok(Node::Object(object));
        }
        loop {
            if self.text.first() != Some(&b'"') {
                return Err(NotJson);
            }
            let name = self.string()?;
            if name.len() > LONGEST_NAME {
                return Err(NotJson);
            }
            self.skip_space();
            if !self.take(b':') {
                return Err(NotJson);
            }
            self.skip_space();
            let value = self.value()?;
            object.insert(name, value);
            if self.is_last(b'}')? {
                return Ok(Node::Object(object));
            }
        }
    }

    fn array(&mut self) -> Result<Node<'a>, NotJson> {
        let mut elements = Vec::new();
        if self.take(b']') {
            return Ok(Node::Array(elements));
        }
        loop {
            elements.push(self.value()?);
            if self.is_last(b']')? {
                return Ok(Node::Array(elements));
            }
        }
    }

    /// After a value: true for the end, false for a comma.
    fn is_last(&mut self, end: u8) -> Result<bool, NotJson> {
        self.skip_space();
        if self.take(end) {
            return Ok(true);
        }
        if !self.take(b',') {
            return Err(NotJson);
        }
        self.skip_space();
        Ok(false)
    }

    fn word(&mut self, word: &[u8], node: Node<'a>) -> Result<Node<'a>, NotJson> {
        self.text = self.text.strip_prefix(word).ok_or(NotJson)?;
        Ok(node)
    }

    fn number(&mut self) -> Result<Node<'a>, NotJson> {
        let all = self.text;
        self.take(b'-');
        let whole = self.digits();
        if whole.is_empty() || (whole.len() > 1 && whole.starts_with(b"0")) {
            return Err(NotJson);
        }
        let mut is_integer = true;
        let mut length = whole.len();
        if self.take(b'.') {
            is_integer = false;
            let fraction = self.digits().len();
            if fraction == 0 {
                return Err(NotJson);
            }
            length += fraction;
        }
        if self.take(b'e') || self.take(b'E') {
            is_integer = false;
            let _has_sign = self.take(b'+') || self.take(b'-');
            let exponent = self.digits().len();
            if exponent == 0 {
                return Err(NotJson);
            }
            length += exponent;
        }
        if length > LONGEST_NUMBER {
            return Err(NotJson);
        }
        let text = &all[..all.len() - self.text.len()];
        let text = std::str::from_utf8(text).map_err(|_| NotJson)?;
        if !is_integer {
            return text.parse().map(Node::Double).map_err(|_| NotJson);
        }
        Ok(match text.parse::<i64>() {
            Ok(long) => i32::try_from(long).map_or(Node::Long(long), Node::Int),
            Err(_) => Node::BigInteger,
        })
    }

    fn string(&mut self) -> Result<Cow<'a, [u8]>, NotJson> {
        self.advance(1);
        let end = self.plain_length()?;
        let (plain, rest) = self.text.split_at(end);
        self.text = rest;
        if self.take(b'"') {
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = plain.to_vec();
        loop {
            if self.take(b'"') {
                return Ok(Cow::Owned(text));
            }
            self.escape(&mut text)?;
            let end = self.plain_length()?;
            let (plain, rest) = self.text.split_at(end);
            text.extend_from_slice(plain);
            self.text = rest;
        }
    }

    /// Bytes up to the next quotation mark or backslash.
    fn plain_length(&self) -> Result<usize, NotJson> {
        let end = self
            .text
            .iter()
            .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
            .ok_or(NotJson)?;
        if self.text[end] < 0x20 {
            return Err(NotJson);
        }
        Ok(end)
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), NotJson> {
        let letter = *self.text.get(1).ok_or(NotJson)?;
        self.advance(2);
        out.push(match letter {
            b'"' | b'\\' | b'/' => letter,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.unicode_escape(out),
            _ => return Err(NotJson),
        });
        Ok(())
    }

    fn unicode_escape(&mut self, out: &mut Vec<u8>) -> Result<(), NotJson> {
        let first = self.code_unit()?;
        let mut code = first;
        if (0xd800..0xdc00).contains(&first) && self.text.starts_with(b"\\u") {
            let before = self.text;
            self.advance(2);
            let second = self.code_unit()?;
            if (0xdc00..0xe000).contains(&second) {
                code = 0x1_0000 + ((first & 0x3ff) << 10 | second & 0x3ff);
            } else {
                self.text = before;
            }
        }
        match char::from_u32(code) {
            Some(letter) => out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            // A lone surrogate, which has no UTF-8: in the form that UTF-8 would have for it.
            None => out.extend([0xed, 0x80 | low_byte(code >> 6), 0x80 | low_byte(code)]),
        }
        Ok(())
    }

    fn code_unit(&mut self) -> Result<u32, NotJson> {
        let digits = self.text.get(..4).ok_or(NotJson)?;
        let mut code = 0;
        for digit in digits {
            code = code << 4 | char::from(*digit).to_digit(16).ok_or(NotJson)?;
        }
        self.advance(4);
        Ok(code)
    }

    fn digits(&mut self) -> &'a [u8] {
        let end = self
            .text
            .iter()
            .position(|byte| !byte.is_ascii_digit())
            .unwrap_or(self.text.len());
        let (digits, rest) = self.text.split_at(end);
        self.text = rest;
        digits
    }

    fn skip_space(&mut self) {
        let end = self
            .text
            .iter()
            .position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
            .unwrap_or(self.text.len());
        self.advance(end);
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.text.first() == Some(&byte);
        if is_next {
            self.advance(1);
        }
        is_next
    }

    fn advance(&mut self, count: usize) {
        self.text = self.text.get(count..).unwrap_or_default();
    }
}

/// The lowest six bits.
const fn low_byte(code: u32) -> u8 {
    (code & 0x3f) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &[u8]) -> Node<'static> {
        Node::Text(Cow::Owned(text.to_vec()))
    }

    #[test]
    fn tells_numbers_apart_as_jackson_does() {
        for (json, node) in [
            ("0", Node::Int(0)),
            ("-0", Node::Int(0)),
            ("2147483648", Node::Long(2_147_483_648)),
            ("12345678901234567890", Node::BigInteger),
            ("-0.0", Node::Double(-0.0)),
            ("1e3", Node::Double(1000.0)),
            ("-1E400", Node::Double(f64::NEG_INFINITY)),
        ] {
            assert_eq!(parse(json.as_bytes()), Ok(node), "{json}");
        }
    }

    #[test]
    fn reads_escapes_and_lone_surrogates() {
        for (json, bytes) in [
            (r#""a\"\\\/\b\f\n\r\tb""#, &b"a\"\\/\x08\x0c\n\r\tb"[..]),
            (r#""\u00e9\uD83D\uDE80""#, "é🚀".as_bytes()),
            (r#""\ud83d""#, b"\xed\xa0\xbd"),
            (r#""\ud83d\u0041""#, b"\xed\xa0\xbdA"),
        ] {
            assert_eq!(parse(json.as_bytes()), Ok(text(bytes)), "{json}");
        }
    }

    #[test]
    fn ignores_what_follows_and_refuses_what_is_not_json() {
        for json in ["[] x", "{}}", "[1] [2]", " {}"] {
            assert!(parse(json.as_bytes()).is_ok(), "{json:?}");
        }
        for json in [
            "",
            "{",
            "[",
            "[1",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "01",
            "+1",
            "1.",
            ".5",
            "1e",
            "-",
            "NaN",
            "tru",
            "\"",
            "\"\t\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\",
            "'a'",
            "[1/*x*/]",
        ] {
            assert!(parse(json.as_bytes()).is_err(), "{json:?} was taken");
        }
    }

    #[test]
    fn keeps_jackson_s_limits() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse(nested(DEEPEST).as_bytes()).is_ok());
        assert!(parse(nested(DEEPEST + 1).as_bytes()).is_err());
        assert!(parse("[".repeat(1_000_000).as_bytes()).is_err());
        assert!(parse("1".repeat(LONGEST_NUMBER).as_bytes()).is_ok());
        assert!(parse("1".repeat(LONGEST_NUMBER + 1).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _node = parse(&bytes);
        }

        #[test]
        fn no_text_that_looks_like_json_makes_it_panic(text in "[\\[\\]{}\",:0-9a-f.\\\\ ue+-]{0,60}") {
            let _node = parse(text.as_bytes());
        }
    }
}
