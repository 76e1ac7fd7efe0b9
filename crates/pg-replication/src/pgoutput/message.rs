//! Message: what an application wrote straight into the write-ahead log.

use bytes::Bytes;
use pg_lsn::Lsn;

use crate::body::Body;
use crate::protocol_error::ProtocolError;

/// What an application wrote with `pg_logical_emit_message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `true`: part of the transaction around it. `false`: stands alone, outside of any, and is there
    /// even if the transaction that wrote it rolled back.
    pub transactional: bool,
    /// Where the message's record ends in the write-ahead log (what `pg_logical_emit_message` returned).
    ///
    /// Of a message that stands alone, this is what to confirm once it is durable elsewhere, and not a
    /// byte more: the next record, which may be a commit, can start right here, and the server skips
    /// every commit that starts before the confirmed position.
    pub lsn: Lsn,
    /// Who it is for, as applications agree among themselves; the bytes of a text.
    pub prefix: Bytes,
    /// The content, text or not, as it was given.
    pub content: Bytes,
}

impl Message {
    pub(super) fn decode(body: &mut Body) -> Result<Self, ProtocolError> {
        let transactional = body.flags(1, "0 or 1, the flags of a message")? == 1;
        let lsn = body.lsn("the LSN")?;
        let prefix = body.cstr("the prefix")?;
        let length = body.u32("the length of the content")?;
        let content = body.take(length as usize, "the content")?;
        Ok(Self {
            transactional,
            lsn,
            prefix,
            content,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pgoutput::LogicalMessage;

    #[test]
    fn reads_every_field() {
        let bytes = b"M\x01\0\0\0\x01\x52\x28\x03\x30outbox\0\0\0\0\x07{\"a\":1}";
        assert_eq!(
            LogicalMessage::parse(Bytes::from_static(bytes)),
            Ok(LogicalMessage::Message(Message {
                transactional: true,
                lsn: "1/52280330".parse().unwrap(),
                prefix: Bytes::from_static(b"outbox"),
                content: Bytes::from_static(b"{\"a\":1}"),
            }))
        );
    }

    #[test]
    fn content_may_be_any_bytes_and_prefix_and_content_may_be_empty() {
        let parsed = LogicalMessage::parse(Bytes::from_static(
            b"M\0\0\0\0\0\0\0\0\x01\0\0\0\0\x03\0\xff\0",
        ));
        let Ok(LogicalMessage::Message(parsed)) = parsed else {
            panic!("{parsed:?}")
        };
        assert!(!parsed.transactional);
        assert_eq!(&parsed.prefix[..], b"");
        assert_eq!(&parsed.content[..], b"\0\xff\0");
        LogicalMessage::parse(Bytes::from_static(b"M\0\0\0\0\0\0\0\0\x01\0\0\0\0\0")).unwrap();
    }

    #[test]
    fn refuses_content_of_another_length() {
        for bytes in [
            &b"M\0\0\0\0\0\0\0\0\x01p\0\0\0\0\x02a"[..],
            b"M\0\0\0\0\0\0\0\0\x01p\0\0\0\0\x01ab",
            b"M\0\0\0\0\0\0\0\0\x01p\0\xff\xff\xff\xff",
            b"M\x02\0\0\0\0\0\0\0\x01p\0\0\0\0\0",
        ] {
            LogicalMessage::parse(Bytes::from_static(bytes)).unwrap_err();
        }
    }
}
