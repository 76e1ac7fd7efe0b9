//! One setting as a layer of its own, so that figment remembers where it came from.

use figment::value::{Dict, Map, Num, Value};
use figment::{Error, Metadata, Profile, Provider};

/// A value for one key.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    /// The key, part by part. The last part may contain dots: a librdkafka property.
    pub(super) path: Vec<String>,
    /// The value.
    pub(super) value: Value,
    /// Where it came from, as users know it.
    pub(super) origin: String,
}

impl Provider for Setting {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let mut value = self.value.clone();
        for part in self.path.iter().rev() {
            value = Value::from(Dict::from([(part.clone(), value)]));
        }
        let dict = value.into_dict().unwrap_or_default();
        Ok(Profile::Default.collect(dict))
    }
}

/// A whole layer: the defaults or a file.
#[derive(Debug, Clone)]
pub(super) struct Document {
    /// Its tables.
    pub(super) dict: Dict,
    /// Where it came from, as users know it.
    pub(super) origin: String,
}

impl Provider for Document {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Profile::Default.collect(self.dict.clone()))
    }
}

/// Reads `text` as the type that `default` has. What cannot be read stays text, so that the type error names
/// the key and its origin.
pub(super) fn typed(text: &str, default: Option<&Value>) -> Value {
    let as_text = || Value::from(text);
    match default {
        Some(Value::Bool(..)) => text.parse::<bool>().map_or_else(|_| as_text(), Value::from),
        Some(Value::Num(..)) => text
            .parse::<i64>()
            .map_or_else(|_| as_text(), |n| Value::from(Num::I64(n))),
        Some(Value::Array(..)) => list(text),
        _ => as_text(),
    }
}

/// A list is written as in TOML, or as words with commas between.
fn list(text: &str) -> Value {
    if text.trim_start().starts_with('[') {
        let document = format!("list = {text}");
        if let Ok(table) = document.parse::<toml::Table>()
            && let Some(list) = table.get("list")
            && let Ok(value) = Value::serialize(list)
        {
            return value;
        }
        return Value::from(text);
    }
    let words = text
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    Value::from(words.map(Value::from).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(value: &Value) -> Vec<&str> {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|word| word.as_str().unwrap())
            .collect()
    }

    #[test]
    fn a_list_is_toml_or_words_with_commas() {
        assert_eq!(words(&list("a.b, c.d")), ["a.b", "c.d"]);
        assert_eq!(words(&list(r#"["a.b", "c,d"]"#)), ["a.b", "c,d"]);
        assert!(words(&list("")).is_empty());
        assert!(words(&list("[]")).is_empty());
    }

    #[test]
    fn a_text_setting_stays_text_even_if_it_looks_like_a_number() {
        assert_eq!(
            typed("0123", Some(&Value::from("x"))).as_str(),
            Some("0123")
        );
        assert_eq!(typed("0123", None).as_str(), Some("0123"));
        assert_eq!(typed("12", Some(&Value::from(1))).to_i128(), Some(12));
    }
}
