//! What a peer sent that PostgreSQL's protocol does not allow.

use thiserror::Error;

/// Bytes that are not what PostgreSQL's frontend/backend protocol, or pgoutput inside it, says.
///
/// Nothing that a peer sends makes this crate panic: it becomes one of these. Offsets count bytes from
/// the first one after the message's tag and length.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A frame's length field is below 4, the size of the field itself.
    #[error("frame {} declares {length} bytes, but the length field alone takes 4", Tag(*.tag))]
    FrameLength {
        /// The frame's tag.
        tag: u8,
        /// The declared length, as a signed number of bytes.
        length: i32,
    },
    /// A frame is larger than this side accepts.
    #[error("frame {} declares {length} bytes; at most {max} are accepted", Tag(*.tag))]
    FrameTooLong {
        /// The frame's tag.
        tag: u8,
        /// Bytes that the whole frame would take, header included.
        length: usize,
        /// Bytes that a whole frame may take.
        max: usize,
    },
    /// No message of this kind is defined, or none that may come here.
    #[error("{} is not a {family}", Tag(*.tag))]
    UnknownMessage {
        /// The family that was looked through, such as `pgoutput message`.
        family: &'static str,
        /// The tag that it does not have.
        tag: u8,
    },
    /// A message ends before one of its fields.
    #[error("{message} ends too early: {expected} is expected at byte {offset}")]
    Truncated {
        /// The kind of message.
        message: &'static str,
        /// Where the field starts.
        offset: usize,
        /// The field.
        expected: &'static str,
    },
    /// A field has a value that its type does not allow.
    #[error("{message} has {found} at byte {offset}, where {expected} is expected")]
    InvalidValue {
        /// The kind of message.
        message: &'static str,
        /// Where the field starts.
        offset: usize,
        /// What may stand there.
        expected: &'static str,
        /// What stands there.
        found: i64,
    },
    /// A message goes on after its last field.
    #[error("{message} is complete at byte {offset}, but {extra} more follow")]
    TrailingBytes {
        /// The kind of message.
        message: &'static str,
        /// Where the message should end.
        offset: usize,
        /// Bytes that are left.
        extra: usize,
    },
    /// A well-formed message came where the conversation does not allow it.
    #[error("{found} came where {expected} is expected")]
    UnexpectedMessage {
        /// The kind of message that came.
        found: &'static str,
        /// What the conversation allows here.
        expected: &'static str,
    },
}

/// Prints a message tag as its letter if it has one.
struct Tag(u8);

impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_ascii_graphic() {
            write!(f, "'{}'", char::from(self.0))
        } else {
            write!(f, "{:#04x}", self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_tag_by_letter_or_number() {
        let unknown = |tag| ProtocolError::UnknownMessage {
            family: "pgoutput message",
            tag,
        };
        assert_eq!(unknown(b'x').to_string(), "'x' is not a pgoutput message");
        assert_eq!(unknown(7).to_string(), "0x07 is not a pgoutput message");
    }

    #[test]
    fn says_where_and_what() {
        let error = ProtocolError::Truncated {
            message: "Begin",
            offset: 8,
            expected: "commit time",
        };
        assert_eq!(
            error.to_string(),
            "Begin ends too early: commit time is expected at byte 8"
        );
    }
}
