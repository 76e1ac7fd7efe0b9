//! XLogData: a piece of the stream.

use bytes::Bytes;
use pg_lsn::Lsn;

use crate::body::Body;
use crate::copy::PgTimestamp;
use crate::protocol_error::ProtocolError;

/// A piece of the stream: in logical replication one message of the output plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct XLogData {
    /// Where the change is in the write-ahead log; [`Lsn::ZERO`] for messages that have no place there.
    /// Not monotonic.
    pub(crate) start: Lsn,
    /// How far the server has got. May be ahead of messages it has yet to send: never a position to confirm.
    pub(crate) end: Lsn,
    /// When the server sent it, by its clock.
    pub(crate) sent_at: PgTimestamp,
    /// The message of the output plugin.
    pub(crate) data: Bytes,
}

impl XLogData {
    pub(super) fn decode(body: &mut Body) -> Result<Self, ProtocolError> {
        Ok(Self {
            start: body.lsn("the start position")?,
            end: body.lsn("the end of the log")?,
            sent_at: body.timestamp("the time of sending")?,
            data: body.rest(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::CopyMessage;

    const BYTES: &[u8] = b"w\
        \0\0\0\x16\xB3\x74\xD8\x48\
        \0\0\0\x16\xB3\x74\xD8\x50\
        \0\x02\xE5\x1A\x76\x5B\x40\0\
        payload";

    #[test]
    fn reads_every_field() {
        assert_eq!(
            CopyMessage::parse(Bytes::from_static(BYTES)).unwrap(),
            CopyMessage::XLogData(XLogData {
                start: "16/B374D848".parse().unwrap(),
                end: "16/B374D850".parse().unwrap(),
                sent_at: PgTimestamp::from_micros(0x0002_E51A_765B_4000),
                data: Bytes::from_static(b"payload"),
            })
        );
    }

    #[test]
    fn refuses_every_shorter_header() {
        for length in 1..25 {
            let error =
                CopyMessage::parse(BYTES.iter().copied().take(length).collect()).unwrap_err();
            assert!(matches!(
                error,
                ProtocolError::Truncated {
                    message: "XLogData",
                    ..
                }
            ));
        }
    }
}
