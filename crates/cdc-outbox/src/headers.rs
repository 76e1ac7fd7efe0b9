//! The `headers` column: a JSON object of strings that become the record's headers.

use std::fmt;

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use crate::invalid_row::InvalidRow;

/// Names and values in the object's order; a JSON null is a header without a value.
pub(crate) type NamedTexts = Vec<(String, Option<String>)>;

pub(crate) fn parse(text: &[u8]) -> Result<NamedTexts, InvalidRow> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let named = deserializer
        .deserialize_any(ObjectOfTexts)
        .map_err(InvalidRow::Headers)?;
    deserializer.end().map_err(InvalidRow::Headers)?;
    Ok(named)
}

struct ObjectOfTexts;

impl<'de> Visitor<'de> for ObjectOfTexts {
    type Value = NamedTexts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    /// JSON's null: no headers.
    fn visit_unit<E>(self) -> Result<NamedTexts, E> {
        Ok(Vec::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NamedTexts, A::Error> {
        let mut named = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Option<String>>()? {
            // librdkafka takes the name as a C string.
            if name.contains('\0') {
                return Err(A::Error::custom("a name has a NUL character"));
            }
            named.push((name, value));
        }
        Ok(named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_of_strings_becomes_headers_in_its_order() {
        let headers = parse(br#"{"z": "00-ab", "b": null}"#).unwrap();
        assert_eq!(
            headers,
            [
                ("z".to_owned(), Some("00-ab".to_owned())),
                ("b".to_owned(), None)
            ]
        );
        assert!(parse(b"null").unwrap().is_empty());
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            &b"[]"[..],
            br#""x""#,
            br#"{"a":1}"#,
            br#"{"a":{}}"#,
            br#"{"a\u0000":"x"}"#,
            b"{",
            b"{} {}",
        ] {
            assert!(
                matches!(parse(text), Err(InvalidRow::Headers(_))),
                "{text:?}"
            );
        }
    }
}
