//! PrimaryKeepalive: the server is alive, and says how far it has got.

use pg_lsn::Lsn;

use crate::body::Body;
use crate::copy::PgTimestamp;
use crate::protocol_error::ProtocolError;

/// The server is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PrimaryKeepalive {
    /// Up to here the server has decoded and has sent everything of interest.
    pub(crate) end: Lsn,
    /// When the server sent it, by its clock.
    pub(crate) sent_at: PgTimestamp,
    /// The server closes the connection unless a status update comes soon.
    pub(crate) reply_requested: bool,
}

impl PrimaryKeepalive {
    pub(super) fn decode(body: &mut Body) -> Result<Self, ProtocolError> {
        Ok(Self {
            end: body.lsn("the end of the log")?,
            sent_at: body.timestamp("the time of sending")?,
            reply_requested: body.u8("the reply request")? != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::copy::CopyMessage;

    const BYTES: &[u8] = b"k\0\0\0\0\x01\x6B\x37\x48\0\x02\xE5\x1A\x76\x5B\x40\0\x01";

    #[test]
    fn reads_every_field() {
        assert_eq!(
            CopyMessage::parse(Bytes::from_static(BYTES)).unwrap(),
            CopyMessage::PrimaryKeepalive(PrimaryKeepalive {
                end: "0/16B3748".parse().unwrap(),
                sent_at: PgTimestamp::from_micros(0x0002_E51A_765B_4000),
                reply_requested: true,
            })
        );
    }

    #[test]
    fn refuses_every_other_length() {
        for length in 1..BYTES.len() {
            CopyMessage::parse(BYTES.iter().copied().take(length).collect()).unwrap_err();
        }
        let longer: Bytes = BYTES.iter().copied().chain([0]).collect();
        let error = CopyMessage::parse(longer).unwrap_err();
        assert!(matches!(
            error,
            ProtocolError::TrailingBytes {
                offset: 17,
                extra: 1,
                ..
            }
        ));
    }
}
