//! The event that a post was written.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A member's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberId(pub i64);

/// A post's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PostId(pub i64);

/// What an event is known by, however often it is delivered: a UUID.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct EventId(String);

/// A text that is no UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event id is a UUID: 8-4-4-4-12 hexadecimal digits")]
pub struct InvalidEventId;

/// Somebody wrote a post. The value of a record of `post-create`, as JSON; the key is the author's number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostCreated {
    /// The event, not the post: what a consumer tells a repetition by.
    pub event_id: EventId,
    /// The post.
    pub post_id: PostId,
    /// Who wrote it.
    pub author_id: MemberId,
    /// Its title.
    pub title: String,
}

impl EventId {
    /// The UUID as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for EventId {
    type Error = InvalidEventId;

    fn try_from(text: String) -> Result<Self, InvalidEventId> {
        let lengths = text.split('-').map(str::len);
        let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
        // 32 digits and 4 hyphens leave room for nothing else.
        let valid = lengths.eq([8, 4, 4, 4, 12]) && digits == 32;
        valid.then_some(Self(text)).ok_or(InvalidEventId)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_json_in_camel_case() {
        let text = r#"{"eventId":"6f1f2c4e-0a55-4a34-9a57-0c6a1f3c8e11","postId":7,"authorId":3,"title":"Pizza"}"#;
        let event: PostCreated = serde_json::from_str(text).unwrap();
        assert_eq!((event.post_id, event.author_id), (PostId(7), MemberId(3)));
        assert_eq!(serde_json::to_string(&event).unwrap(), text);
    }

    #[test]
    fn refuses_an_id_that_is_no_uuid() {
        for id in [
            "",
            "7",
            "6f1f2c4e0a554a349a570c6a1f3c8e11",
            "6f1f2c4e-0a55-4a34-9a57-0c6a1f3c8e1",
            "6f1f2c4e-0a55-4a34-9a57-0c6a1f3c8e1x",
        ] {
            assert_eq!(
                EventId::try_from(id.to_owned()),
                Err(InvalidEventId),
                "{id:?}"
            );
        }
    }
}
