//! Texts of which an empty one says "none", and lists of texts.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer};

use super::Span;

/// An empty text is nothing.
pub(in crate::config) fn optional<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// An empty text is no time span.
pub(in crate::config) fn span_or_never<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Span>, D::Error> {
    match optional(deserializer)? {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(de::Error::custom),
    }
}

/// A list of anything that is written as text.
pub(in crate::config) fn texts<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: fmt::Display,
{
    let texts = Vec::<String>::deserialize(deserializer)?;
    let parsed = texts.iter().map(|text| text.parse());
    parsed.collect::<Result<_, _>>().map_err(de::Error::custom)
}
