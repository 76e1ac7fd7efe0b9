//! The `headers` column: a JSON object of strings that become the record's headers.

use std::collections::BTreeMap;

use super::row::InvalidRow;

/// Parsed headers, in the order of their names; a JSON null is a header without a value.
pub(super) type Headers = BTreeMap<String, Option<String>>;

pub(super) fn parse(text: Option<&[u8]>) -> Result<Headers, InvalidRow> {
    match text {
        None => Ok(Headers::new()),
        Some(text) => serde_json::from_slice::<Option<Headers>>(text)
            .map(Option::unwrap_or_default)
            .map_err(InvalidRow::Headers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_of_strings_becomes_headers() {
        let headers = parse(Some(br#"{"traceparent": "00-ab", "b": null}"#)).unwrap();
        assert_eq!(headers["traceparent"].as_deref(), Some("00-ab"));
        assert_eq!(headers["b"], None);
        assert!(parse(None).unwrap().is_empty());
        assert!(parse(Some(b"null")).unwrap().is_empty());
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [&b"[]"[..], br#""x""#, br#"{"a":1}"#, br#"{"a":{}}"#, b"{"] {
            assert!(
                matches!(parse(Some(text)), Err(InvalidRow::Headers(_))),
                "{text:?}"
            );
        }
    }
}
