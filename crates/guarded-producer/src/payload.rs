//! What an event says.

use serde::Serialize;

/// The value of a record: JSON text, which is kept byte for byte on both ways.
///
/// The outbox's payload is of PostgreSQL's type `json`, so nothing but JSON can go through it; the type keeps it that
/// way. Bytes of another form go into a JSON string, as Base64.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(Box<str>);

/// Not a payload that both ways can carry.
#[derive(Debug, thiserror::Error)]
pub enum InvalidPayload {
    /// No JSON, or what should become JSON cannot.
    #[error("the payload is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// PostgreSQL reads JSON recursively and refuses what is nested too deeply.
    #[error("the payload is nested more than {} deep", Payload::MAX_DEPTH)]
    TooDeep,
}

impl Payload {
    /// How deeply arrays and objects may be nested.
    pub const MAX_DEPTH: usize = 500;

    /// Takes JSON text as it is.
    ///
    /// # Errors
    ///
    /// [`InvalidPayload`].
    pub fn json(text: impl Into<String>) -> Result<Self, InvalidPayload> {
        let text: String = text.into();
        // Checks everything, and recurses no deeper for a text that is nested deeply.
        serde_json::from_str::<&serde_json::value::RawValue>(&text)
            .map_err(InvalidPayload::NotJson)?;
        Self::checked(text)
    }

    /// Makes JSON of a value.
    ///
    /// # Errors
    ///
    /// [`InvalidPayload`], for a map whose keys are no strings, for example.
    pub fn of(value: &impl Serialize) -> Result<Self, InvalidPayload> {
        let text = serde_json::to_string(value).map_err(InvalidPayload::NotJson)?;
        Self::checked(text)
    }

    fn checked(text: String) -> Result<Self, InvalidPayload> {
        if depth(&text) > Self::MAX_DEPTH {
            return Err(InvalidPayload::TooDeep);
        }
        Ok(Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How deeply arrays and objects are nested in a valid JSON text.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    deepest
}

/// Moves behind the end of a string that has begun.
fn skip_string(bytes: &mut std::str::Bytes<'_>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'"' => return,
            _ => {}
        }
    }
}

impl std::fmt::Debug for Payload {
    /// Only its length: what applications send is not for logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_every_byte_of_the_text() {
        let text = " {\"a\" : 1.0e2,\n\"a\":\"\\u0000\"} ";
        assert_eq!(Payload::json(text).unwrap().as_str(), text);
    }

    #[test]
    fn refuses_what_is_no_json() {
        for text in ["", "{", "plain", "{} {}", "\"\0\"", "{\"a\":\"\n\"}", "NaN"] {
            let refused = Payload::json(text);
            assert!(matches!(refused, Err(InvalidPayload::NotJson(_))), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_nested_too_deeply_and_looks_into_no_string() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Payload::json(nested(Payload::MAX_DEPTH)).is_ok());
        let deeper = Payload::json(nested(Payload::MAX_DEPTH + 1));
        assert!(matches!(deeper, Err(InvalidPayload::TooDeep)));
        let refused = Payload::json(nested(100_000));
        assert!(matches!(refused, Err(InvalidPayload::TooDeep)));
        let text = format!("\"\\\"{}\"", "[".repeat(1000));
        assert!(Payload::json(text).is_ok());
    }
}
