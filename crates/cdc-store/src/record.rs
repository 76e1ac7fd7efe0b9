//! The record of a failed event, byte for byte.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cdc_event::Headers;
use serde_json::Value;

use crate::text::without_nul;

/// Where a replay sends an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The topic.
    pub topic: String,
    /// The partition; `None` lets the key decide.
    pub partition: Option<i32>,
}

/// What a record consists of, or what is known of an event of which no record could be made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    /// The key; `None` is Kafka's null.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is Kafka's null. Up to what fits into a `bytea`, 1 GB.
    pub payload: Option<Vec<u8>>,
    /// The headers: order, repeated names and missing values are kept.
    pub headers: Headers,
    /// Milliseconds since 1970; `None` gives a replayed record the time of sending.
    pub timestamp_ms: Option<i64>,
}

impl Contents {
    /// Bytes, roughly; for the size of batches.
    pub(crate) fn size(&self) -> usize {
        let headers: usize = self
            .headers
            .as_slice()
            .iter()
            .map(|header| header.name.len() + header.value.as_ref().map_or(0, Vec::len))
            .sum();
        self.key.as_ref().map_or(0, Vec::len) + self.payload.as_ref().map_or(0, Vec::len) + headers
    }

    /// Whether its names could be sent: Kafka's clients take NUL for the end of a text, and PostgreSQL stores none.
    pub(crate) fn has_usable_names(&self) -> bool {
        self.headers
            .as_slice()
            .iter()
            .all(|header| !header.name.contains('\0'))
    }
}

impl Target {
    pub(crate) fn has_usable_name(&self) -> bool {
        !self.topic.contains('\0')
    }
}

/// `[[name, value in base64 or null], …]`.
pub(crate) fn headers_to_json(headers: &Headers) -> Value {
    let pair = |header: &cdc_event::Header| {
        let value = header.value.as_ref().map(|value| STANDARD.encode(value));
        Value::from(vec![
            Value::from(without_nul(&header.name)),
            Value::from(value),
        ])
    };
    Value::Array(headers.as_slice().iter().map(pair).collect())
}

/// The reverse of [`headers_to_json`].
pub(crate) fn headers_from_json(
    json: Value,
) -> Result<Headers, Box<dyn std::error::Error + Send + Sync>> {
    let pairs: Vec<(String, Option<String>)> = serde_json::from_value(json)?;
    let mut headers = Headers::new();
    for (name, value) in pairs {
        headers.push(name, value.map(|text| STANDARD.decode(text)).transpose()?);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_survive_with_order_duplicates_nulls_and_any_bytes() {
        let mut headers = Headers::new();
        headers.push("id", Some(b"1".to_vec()));
        headers.push("id", None);
        headers.push("", Some(Vec::new()));
        headers.push("ü", Some((0..=255).collect()));
        let json = headers_to_json(&headers);
        assert_eq!(headers_from_json(json).unwrap(), headers);
    }

    #[test]
    fn what_is_no_list_of_headers_is_refused() {
        for text in [
            "{}",
            "[1]",
            r#"[["a"]]"#,
            r#"[["a", 1]]"#,
            r#"[["a", "not base64!"]]"#,
        ] {
            let json = serde_json::from_str(text).unwrap();
            assert!(headers_from_json(json).is_err(), "{text}");
        }
    }
}
