//! The id that a receiver drops duplicates by.

use std::fmt;

use http::HeaderValue;

/// The value of `webhook-id`: an event's id, the same at every attempt, safe in a header and in what is signed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WebhookId(Box<str>);

/// An id that cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the id of an event must be 1 to {max} bytes long to be sent as a webhook", max = WebhookId::MAX_BYTES)]
pub struct InvalidWebhookId;

impl WebhookId {
    /// The longest event id.
    pub const MAX_BYTES: usize = 512;

    /// Takes an event's id. Letters, digits and `-_:/+=@~` stay; every other byte is written as `%XX`: a full stop
    /// would make the signed text ambiguous, others are not allowed in a header. Different ids stay different.
    ///
    /// # Errors
    ///
    /// [`InvalidWebhookId`] for one that is empty or longer than [`MAX_BYTES`](Self::MAX_BYTES).
    pub fn new(event_id: &str) -> Result<Self, InvalidWebhookId> {
        if event_id.is_empty() || event_id.len() > Self::MAX_BYTES {
            return Err(InvalidWebhookId);
        }
        if event_id.bytes().all(stays) {
            return Ok(Self(event_id.into()));
        }
        let mut text = String::with_capacity(event_id.len() + 16);
        for byte in event_id.bytes() {
            if stays(byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
        Ok(Self(text.into()))
    }

    /// The value of the header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn header(&self) -> HeaderValue {
        #[expect(clippy::expect_used, reason = "`new` leaves only visible ASCII")]
        HeaderValue::from_str(&self.0).expect("visible ASCII")
    }
}

impl fmt::Display for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn stays(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_:/+=@~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keeps_a_usual_id() {
        for id in [
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "0198c2f4-5d1e-7c39",
            "orders:7/3",
        ] {
            assert_eq!(WebhookId::new(id).unwrap().as_str(), id);
        }
    }

    #[test]
    fn encodes_a_full_stop_and_whatever_no_header_can_hold() {
        assert_eq!(WebhookId::new("a.b").unwrap().as_str(), "a%2Eb");
        assert_eq!(WebhookId::new("a%2Eb").unwrap().as_str(), "a%252Eb");
        assert_eq!(WebhookId::new("é\r\n").unwrap().as_str(), "%C3%A9%0D%0A");
    }

    #[test]
    fn refuses_an_id_that_is_empty_or_too_long() {
        assert_eq!(WebhookId::new(""), Err(InvalidWebhookId));
        assert_eq!(WebhookId::new(&"x".repeat(513)), Err(InvalidWebhookId));
        assert_eq!(
            WebhookId::new(&"é".repeat(256)).unwrap().as_str().len(),
            1536
        );
    }

    proptest! {
        #[test]
        fn is_a_header_without_a_full_stop_and_tells_ids_apart(a in ".{1,60}", b in ".{1,60}") {
            let (one, two) = (WebhookId::new(&a).unwrap(), WebhookId::new(&b).unwrap());
            prop_assert!(!one.as_str().contains('.'));
            let header = one.header();
            prop_assert_eq!(header.to_str().unwrap(), one.as_str());
            prop_assert_eq!(one == two, a == b);
        }
    }
}
