//! A document without its white space.

use super::NotJson;

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    /// A value, or the end of an array that has just begun.
    ValueOrEnd,
    Name,
    /// A name, or the end of an object that has just begun.
    NameOrEnd,
    Colon,
    CommaOrEnd,
    End,
}

/// Copies a document without white space between its parts; strings, numbers, repeated names and their order stay as they
/// are, byte for byte.
///
/// Keeps its place in a stack of its own: a document may be nested as deep as it is long.
pub(crate) fn minify(text: &[u8]) -> Result<Vec<u8>, NotJson> {
    let mut out = Vec::with_capacity(text.len());
    let mut open: Vec<u8> = Vec::new();
    let mut expect = Expect::Value;
    let mut rest = text;
    while let Some((&byte, behind)) = rest.split_first() {
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            rest = behind;
            continue;
        }
        let (length, next) = match (expect, byte) {
            (Expect::Value | Expect::ValueOrEnd, b'{' | b'[') => {
                open.push(byte);
                let next = if byte == b'{' {
                    Expect::NameOrEnd
                } else {
                    Expect::ValueOrEnd
                };
                (1, next)
            }
            (Expect::Value | Expect::ValueOrEnd, b'"') => (string_length(rest)?, after(&open)),
            (Expect::ValueOrEnd | Expect::CommaOrEnd, b']') => (1, close(&mut open, b'[')?),
            (Expect::NameOrEnd | Expect::CommaOrEnd, b'}') => (1, close(&mut open, b'{')?),
            (Expect::Value | Expect::ValueOrEnd, _) => (scalar_length(rest)?, after(&open)),
            (Expect::Name | Expect::NameOrEnd, b'"') => (string_length(rest)?, Expect::Colon),
            (Expect::Colon, b':') => (1, Expect::Value),
            (Expect::CommaOrEnd, b',') if open.last() == Some(&b'{') => (1, Expect::Name),
            (Expect::CommaOrEnd, b',') => (1, Expect::Value),
            _ => return Err(NotJson),
        };
        let (part, behind) = rest.split_at_checked(length).ok_or(NotJson)?;
        out.extend_from_slice(part);
        rest = behind;
        expect = next;
    }
    if expect == Expect::End {
        Ok(out)
    } else {
        Err(NotJson)
    }
}

fn after(open: &[u8]) -> Expect {
    if open.is_empty() {
        Expect::End
    } else {
        Expect::CommaOrEnd
    }
}

fn close(open: &mut Vec<u8>, begun: u8) -> Result<Expect, NotJson> {
    if open.pop() == Some(begun) {
        Ok(after(open))
    } else {
        Err(NotJson)
    }
}

/// Bytes of the string at the start, with its quotation marks.
fn string_length(text: &[u8]) -> Result<usize, NotJson> {
    let mut at = 1;
    loop {
        match text.get(at).ok_or(NotJson)? {
            b'"' => return Ok(at + 1),
            0..=0x1f => return Err(NotJson),
            b'\\' => match text.get(at + 1).ok_or(NotJson)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                b'u' => {
                    let digits = text.get(at + 2..at + 6).ok_or(NotJson)?;
                    if !digits.iter().all(u8::is_ascii_hexdigit) {
                        return Err(NotJson);
                    }
                    at += 6;
                }
                _ => return Err(NotJson),
            },
            _ => at += 1,
        }
    }
}

/// Bytes of the number, `true`, `false` or `null` at the start.
fn scalar_length(text: &[u8]) -> Result<usize, NotJson> {
    for word in [&b"true"[..], b"false", b"null"] {
        if text.starts_with(word) {
            return Ok(word.len());
        }
    }
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let mut at = usize::from(text.starts_with(b"-"));
    let whole = digits(at);
    if whole == 0 || (whole > 1 && text.get(at) == Some(&b'0')) {
        return Err(NotJson);
    }
    at += whole;
    if text.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return Err(NotJson);
        }
        at += 1 + fraction;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent == 0 {
            return Err(NotJson);
        }
        at += 1 + sign + exponent;
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn minified(text: &str) -> Option<String> {
        minify(text.as_bytes())
            .ok()
            .map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn removes_white_space_and_nothing_else() {
        for (text, expected) in [
            (
                " { \"a\" :\t1.50 ,\n\"b\" : [ ] , \"c\":{ }, \"a\":null }\r\n",
                r#"{"a":1.50,"b":[],"c":{},"a":null}"#,
            ),
            (r#""a  b\" \u00e9\/""#, r#""a  b\" \u00e9\/""#),
            ("12345678901234567890", "12345678901234567890"),
            (
                "[1e400, -0, 1E-7, true ,false]",
                "[1e400,-0,1E-7,true,false]",
            ),
            ("[[], {}, [ [ ] ]]", "[[],{},[[]]]"),
        ] {
            assert_eq!(minified(text).as_deref(), Some(expected));
        }
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(minified(&deep), Some(deep));
    }

    #[test]
    fn refuses_what_is_not_one_document() {
        for text in [
            "",
            " ",
            "{",
            "[1",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\" 1}",
            "[1 2]",
            "1 2",
            "[] x",
            "{}}",
            "[}",
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
            "]",
        ] {
            assert_eq!(minified(text), None, "{text:?} was taken");
        }
    }

    /// A document with white space anywhere, and the same without.
    fn document() -> impl Strategy<Value = (String, String)> {
        let space = "[ \t\n\r]{0,2}";
        let number = "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?";
        let string = "\"([^\"\\\\\\x00-\\x1f]|\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-fA-F]{4}){0,6}\"";
        let scalar = prop_oneof![
            number,
            string,
            Just("true".to_owned()),
            Just("false".to_owned()),
            Just("null".to_owned())
        ];
        let leaf = scalar.prop_map(|text| (text.clone(), text));
        leaf.prop_recursive(4, 40, 5, move |inner| {
            let spaced = (space, inner, space)
                .prop_map(|(before, (loose, tight), after)| (before + &loose + &after, tight));
            let member = (space, string, space, spaced.clone()).prop_map(
                |(before, name, after, (loose, tight))| {
                    (
                        format!("{before}{name}{after}:{loose}"),
                        format!("{name}:{tight}"),
                    )
                },
            );
            let join = |parts: Vec<(String, String)>, space: &str, open: &str, close: &str| {
                let (loose, tight): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
                let inside = if loose.is_empty() {
                    space.to_owned()
                } else {
                    loose.join(",")
                };
                (
                    format!("{open}{inside}{close}"),
                    format!("{open}{}{close}", tight.join(",")),
                )
            };
            prop_oneof![
                (prop::collection::vec(spaced, 0..5), space)
                    .prop_map(move |(parts, space)| join(parts, &space, "[", "]")),
                (prop::collection::vec(member, 0..5), space)
                    .prop_map(move |(parts, space)| join(parts, &space, "{", "}")),
            ]
        })
    }

    proptest! {
        #[test]
        fn keeps_every_number_string_null_and_order((loose, tight) in document()) {
            prop_assert_eq!(minified(&loose), Some(tight.clone()));
            prop_assert_eq!(minified(&tight), Some(tight));
        }

        #[test]
        fn takes_exactly_what_serde_json_takes(text in "[\\[\\]{}\",:0-9e.\\\\ truefalsn+-]{0,12}") {
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(minified(&text).is_some(), is_json);
        }
    }
}
