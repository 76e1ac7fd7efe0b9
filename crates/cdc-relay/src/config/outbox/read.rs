//! How some of the section's values are written.

use std::fmt;
use std::str::FromStr;

use cdc_outbox::ExpandJson;
use serde::de::{self, Deserialize, Deserializer, Visitor};

use crate::config::Span;

/// An empty text is nothing.
pub(super) fn optional<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// An empty text is no time span.
pub(super) fn span_or_never<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Span>, D::Error> {
    match optional(deserializer)? {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(de::Error::custom),
    }
}

/// A list of anything that is written as text.
pub(super) fn texts<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: fmt::Display,
{
    let texts = Vec::<String>::deserialize(deserializer)?;
    let parsed = texts.iter().map(|text| text.parse());
    parsed.collect::<Result<_, _>>().map_err(de::Error::custom)
}

/// `true`, `false` or a word.
pub(super) fn expand_json<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<ExpandJson, D::Error> {
    deserializer.deserialize_any(TruthOrWord)
}

struct TruthOrWord;

impl Visitor<'_> for TruthOrWord {
    type Value = ExpandJson;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false or \"debezium\"")
    }

    fn visit_bool<E: de::Error>(self, expand: bool) -> Result<ExpandJson, E> {
        Ok(if expand {
            ExpandJson::Lossless
        } else {
            ExpandJson::Off
        })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ExpandJson, E> {
        text.parse().map_err(E::custom)
    }
}
