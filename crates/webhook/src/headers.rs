//! Headers that an endpoint asks for besides ours.

use http::{HeaderMap, HeaderName, HeaderValue};

const MAX_HEADERS: usize = 32;
const MAX_VALUE_BYTES: usize = 4096;

/// Names that are ours, or that decide how a message is read on its way.
const RESERVED: [&str; 14] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
];
const RESERVED_PREFIXES: [&str; 2] = ["webhook-", "proxy-"];

/// Headers of an endpoint's own, such as `authorization`, and of an event's own, such as `traceparent`.
///
/// Values count as secrets: they are not shown by `Debug`, and HTTP/2 does not put them into its compression table.
#[derive(Debug, Clone, Default)]
pub struct ExtraHeaders(HeaderMap);

/// A header that cannot be sent. It never says what the value was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHeader {
    /// No name of a header.
    #[error("{name:?} is no name of a header")]
    Name {
        /// What was given.
        name: String,
    },
    /// A name that this crate sets itself, or that would change how the request is read.
    #[error("the header {name} cannot be set")]
    Reserved {
        /// The name.
        name: HeaderName,
    },
    /// A value with characters that no header can have, or too long.
    #[error(
        "the value of the header {name} is longer than {MAX_VALUE_BYTES} bytes or has characters that no header can have"
    )]
    Value {
        /// The name.
        name: HeaderName,
    },
    /// Too many.
    #[error("more than {MAX_HEADERS} headers")]
    TooMany,
}

impl ExtraHeaders {
    /// Sets a header, in place of an earlier one of the name.
    ///
    /// # Errors
    ///
    /// [`InvalidHeader`] for a name or value that cannot be sent, and for more than 32 headers.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), InvalidHeader> {
        let name = HeaderName::try_from(name).map_err(|_| InvalidHeader::Name {
            name: name.to_owned(),
        })?;
        let text = name.as_str();
        if RESERVED.contains(&text)
            || RESERVED_PREFIXES
                .iter()
                .any(|prefix| text.starts_with(prefix))
        {
            return Err(InvalidHeader::Reserved { name });
        }
        let value = HeaderValue::try_from(value)
            .ok()
            .filter(|value| value.len() <= MAX_VALUE_BYTES);
        let Some(mut value) = value else {
            return Err(InvalidHeader::Value { name });
        };
        if self.0.len() >= MAX_HEADERS && !self.0.contains_key(&name) {
            return Err(InvalidHeader::TooMany);
        }
        value.set_sensitive(true);
        self.0.insert(name, value);
        Ok(())
    }

    pub(crate) const fn as_map(&self) -> &HeaderMap {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: &str) -> Result<(), InvalidHeader> {
        ExtraHeaders::default().set(name, value)
    }

    #[test]
    fn refuses_names_that_would_change_the_request() {
        for name in RESERVED.into_iter().chain([
            "Webhook-Id",
            "webhook-signature",
            "Proxy-Authorization",
            "HOST",
        ]) {
            assert!(
                matches!(set(name, "x"), Err(InvalidHeader::Reserved { .. })),
                "{name}"
            );
        }
        for name in ["", "a b", "a\r\nb", "é"] {
            assert!(
                matches!(set(name, "x"), Err(InvalidHeader::Name { .. })),
                "{name}"
            );
        }
    }

    #[test]
    fn refuses_values_that_would_add_a_header() {
        for value in ["x\r\nevil: 1", "x\n", "\0", &"x".repeat(4097)] {
            assert!(matches!(
                set("x-key", value),
                Err(InvalidHeader::Value { .. })
            ));
        }
        assert_eq!(set("x-key", &"x".repeat(4096)), Ok(()));
    }

    #[test]
    fn takes_a_bounded_number_and_shows_no_value() {
        let mut headers = ExtraHeaders::default();
        for number in 0..MAX_HEADERS {
            headers.set(&format!("x-{number}"), "password").unwrap();
        }
        assert_eq!(headers.set("x-more", "1"), Err(InvalidHeader::TooMany));
        headers.set("x-0", "password2").unwrap();
        assert!(!format!("{headers:?}").contains("password"));
    }
}
