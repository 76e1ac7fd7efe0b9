//! What is inside CopyData while the server streams: messages of the streaming replication protocol.
//!
//! There is no way from a [`PrimaryKeepalive`] to a [`StandbyStatusUpdate`], on purpose: the server's
//! position says nothing about what this side has made durable.
#![deny(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap
)]

mod keepalive;
mod status_update;
mod timestamp;
mod xlog_data;

use bytes::{Buf, BufMut, Bytes, BytesMut};

pub(crate) use self::keepalive::PrimaryKeepalive;
pub(crate) use self::status_update::StandbyStatusUpdate;
pub use self::timestamp::PgTimestamp;
pub(crate) use self::xlog_data::XLogData;
use crate::body::Body;
use crate::protocol_error::ProtocolError;

/// A message of the server inside CopyData.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CopyMessage {
    XLogData(XLogData),
    PrimaryKeepalive(PrimaryKeepalive),
}

impl CopyMessage {
    /// Parses the content of one CopyData; what it carries is not copied.
    pub(crate) fn parse(mut content: Bytes) -> Result<Self, ProtocolError> {
        let Ok(tag) = content.try_get_u8() else {
            return Err(ProtocolError::Truncated {
                message: "CopyData",
                offset: 0,
                expected: "the kind of a streaming replication message",
            });
        };
        match tag {
            b'w' => Body::read_all("XLogData", content, XLogData::decode).map(Self::XLogData),
            b'k' => Body::read_all("PrimaryKeepalive", content, PrimaryKeepalive::decode)
                .map(Self::PrimaryKeepalive),
            tag => Err(ProtocolError::UnknownMessage {
                family: "streaming replication message of a server",
                tag,
            }),
        }
    }
}

/// Appends CopyDone to `output`: this side sends nothing more, and asks the server to stop as well.
pub(crate) fn put_copy_done(output: &mut BytesMut) {
    output.put_u8(b'c');
    output.put_i32(4);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_done_is_one_empty_frame() {
        let mut output = BytesMut::new();
        put_copy_done(&mut output);
        assert_eq!(&output[..], b"c\0\0\0\x04");
    }

    #[test]
    fn refuses_what_is_no_message() {
        CopyMessage::parse(Bytes::new()).unwrap_err();
        let error = CopyMessage::parse(Bytes::from_static(b"r")).unwrap_err();
        assert!(
            matches!(error, ProtocolError::UnknownMessage { tag: b'r', .. }),
            "{error}"
        );
    }
}
