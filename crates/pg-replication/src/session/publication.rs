//! The name of a publication.

use std::fmt;
use std::str::FromStr;

use super::quote::{quote_ident, quote_literal};

/// Bytes of a name, as PostgreSQL is built by default (`NAMEDATALEN` less one).
const MAX_BYTES: usize = 63;

/// The name of a publication: any text of 1 to 63 bytes without a zero byte, as written, not folded to lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicationName(String);

/// A name that PostgreSQL can't have or would cut off.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a publication: {0:?}; 1 to 63 bytes are allowed, none of them zero")]
pub struct InvalidPublicationName(String);

impl PublicationName {
    /// Checks the name; `FromStr` does the same.
    ///
    /// # Errors
    ///
    /// [`InvalidPublicationName`] says the rule.
    pub fn new(text: &str) -> Result<Self, InvalidPublicationName> {
        if text.is_empty() || text.len() > MAX_BYTES || text.contains('\0') {
            return Err(InvalidPublicationName(text.chars().take(100).collect()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as it is in `pg_publication.pubname`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PublicationName {
    type Err = InvalidPublicationName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl fmt::Display for PublicationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The value of pgoutput's `publication_names`: a list of identifiers inside of a literal.
pub(super) fn literal_list(publications: &[PublicationName]) -> String {
    let names: Vec<String> = publications
        .iter()
        .map(|name| quote_ident(name.as_str()))
        .collect();
    quote_literal(&names.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_names_as_identifiers_in_a_literal() {
        let names: Vec<PublicationName> = ["plain", "Mixed Case", "o'b\"r"]
            .iter()
            .map(|name| name.parse().unwrap())
            .collect();
        assert_eq!(literal_list(&names), r#"'"plain","Mixed Case","o''b""r"'"#);
    }

    #[test]
    fn refuses_names_that_would_be_cut_off() {
        assert!("ü".repeat(31).parse::<PublicationName>().is_ok());
        for text in ["", "a\0b", &"ü".repeat(32)] {
            assert!(text.parse::<PublicationName>().is_err(), "{text:?}");
        }
    }
}
