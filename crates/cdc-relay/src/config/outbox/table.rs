//! The name of an outbox table.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use crate::config::value::text;

/// A table with its schema, such as `cdc.outbox` or `"Shop"."OutboxEvent"`.
///
/// Names without quotes are folded to lower case, as PostgreSQL does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct OutboxTable {
    schema: String,
    name: String,
}

impl OutboxTable {
    /// The schema as PostgreSQL stores it.
    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    /// The table as PostgreSQL stores it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// True for the table that PostgreSQL calls `schema` and `name`.
    pub(crate) fn is(&self, schema: &str, name: &str) -> bool {
        self.schema == schema && self.name == name
    }

    /// The name as SQL text, quoted.
    pub(crate) fn quoted(&self) -> String {
        format!(
            "{}.{}",
            quote_identifier(&self.schema),
            quote_identifier(&self.name)
        )
    }
}

impl fmt::Display for OutboxTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

impl FromStr for OutboxTable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || format!("{text:?} is not a table with its schema, such as \"cdc.outbox\"");
        let (schema, rest) = identifier(text.trim()).ok_or_else(refused)?;
        let (name, rest) = rest
            .strip_prefix('.')
            .and_then(identifier)
            .ok_or_else(refused)?;
        if rest.is_empty() {
            Ok(Self { schema, name })
        } else {
            Err(refused())
        }
    }
}

impl<'de> Deserialize<'de> for OutboxTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer)
    }
}

/// A name as SQL text that PostgreSQL reads as exactly this name.
pub(crate) fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The identifier at the start of `text`, and what follows it.
fn identifier(text: &str) -> Option<(String, &str)> {
    let (name, rest) = if let Some(quoted) = text.strip_prefix('"') {
        let mut name = String::new();
        let mut letters = quoted.char_indices().peekable();
        loop {
            match letters.next()? {
                (_, '"') if letters.peek().is_some_and(|(_, next)| *next == '"') => {
                    letters.next();
                    name.push('"');
                }
                (at, '"') => break (name, &quoted[at + 1..]),
                (_, letter) => name.push(letter),
            }
        }
    } else {
        let end = text
            .find(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == '$'))
            .unwrap_or(text.len());
        (text[..end].to_ascii_lowercase(), &text[end..])
    };
    (!name.is_empty() && name.len() <= 63).then_some((name, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, String) {
        let table: OutboxTable = text.parse().unwrap();
        (table.schema().to_owned(), table.name().to_owned())
    }

    #[test]
    fn folds_case_unless_quoted() {
        assert_eq!(parts("CDC.Outbox"), ("cdc".into(), "outbox".into()));
        assert_eq!(
            parts(r#""Shop"."Out.box""#),
            ("Shop".into(), "Out.box".into())
        );
        assert_eq!(parts(r#"shop."a""b""#), ("shop".into(), "a\"b".into()));
    }

    #[test]
    fn quotes_for_sql() {
        let table: OutboxTable = r#"shop."a""b""#.parse().unwrap();
        assert_eq!(table.quoted(), r#""shop"."a""b""#);
    }

    #[test]
    fn refuses_what_is_not_schema_and_table() {
        for text in [
            "",
            "outbox",
            "cdc.",
            ".outbox",
            "a.b.c",
            "cdc.out box",
            "\"cdc.outbox",
            "cdc.outbox; drop",
        ] {
            assert!(text.parse::<OutboxTable>().is_err(), "{text:?} was taken");
        }
    }
}
