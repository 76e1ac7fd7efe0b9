//! How some of the section's values are written.

use std::fmt;

use cdc_outbox::ExpandJson;
use serde::de::{self, Deserializer, Visitor};

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
