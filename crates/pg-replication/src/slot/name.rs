//! The name of a replication slot.

use std::fmt;
use std::str::FromStr;

/// Bytes of a name, as PostgreSQL is built by default (`NAMEDATALEN` less one).
const MAX_BYTES: usize = 63;

/// The name of a replication slot: 1 to 63 of `a` to `z`, `0` to `9` and `_`.
///
/// # Example
///
/// ```
/// use pg_replication::SlotName;
///
/// assert!("cdc_relay".parse::<SlotName>().is_ok());
/// assert!("cdc-relay".parse::<SlotName>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotName(String);

/// A name that PostgreSQL refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not the name of a replication slot: {0:?}; 1 to {MAX_BYTES} lower-case letters (a-z), digits and \
     underscores are allowed"
)]
pub struct InvalidSlotName(String);

impl SlotName {
    /// Checks the name; `FromStr` does the same.
    ///
    /// # Errors
    ///
    /// [`InvalidSlotName`] says the rule.
    pub fn new(text: &str) -> Result<Self, InvalidSlotName> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if text.is_empty() || text.len() > MAX_BYTES || !text.bytes().all(allowed) {
            return Err(InvalidSlotName(text.chars().take(100).collect()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as it is in `pg_replication_slots.slot_name`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SlotName {
    type Err = InvalidSlotName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl fmt::Display for SlotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_postgres_takes() {
        for text in ["cdc_relay", "1", "_", &"a".repeat(63)] {
            assert_eq!(text.parse::<SlotName>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn refuses_what_postgres_refuses_and_says_the_rule() {
        for text in ["", "Relay", "cdc-relay", "a b", "ü", "a\"", &"a".repeat(64)] {
            let error = text.parse::<SlotName>().unwrap_err().to_string();
            assert!(error.contains("1 to 63 lower-case letters"), "{error}");
        }
    }
}
