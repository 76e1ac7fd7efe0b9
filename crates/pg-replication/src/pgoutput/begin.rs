//! Begin: a transaction starts.

use pg_lsn::Lsn;

use super::Xid;
use crate::body::Body;
use crate::copy::PgTimestamp;
use crate::protocol_error::ProtocolError;

/// A transaction starts. Its changes follow, then its [`Commit`](super::Commit).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    /// Where the commit record is; the same as [`Commit::commit_lsn`](super::Commit::commit_lsn).
    pub final_lsn: Lsn,
    /// When the transaction committed.
    pub commit_time: PgTimestamp,
    /// The transaction's id.
    pub xid: Xid,
}

impl Begin {
    pub(super) fn decode(body: &mut Body) -> Result<Self, ProtocolError> {
        Ok(Self {
            final_lsn: body.lsn("the final LSN")?,
            commit_time: body.timestamp("the commit time")?,
            xid: body.u32("the transaction id").map(Xid)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::pgoutput::LogicalMessage;

    #[test]
    fn reads_every_field() {
        let bytes = b"B\
            \0\0\0\x01\x52\x28\x03\x30\
            \0\x02\xE5\x1A\x76\x5B\x40\0\
            \0\0\x02\xE4";
        assert_eq!(
            LogicalMessage::parse(Bytes::from_static(bytes)),
            Ok(LogicalMessage::Begin(Begin {
                final_lsn: "1/52280330".parse().unwrap(),
                commit_time: PgTimestamp::from_micros(0x0002_E51A_765B_4000),
                xid: Xid(740),
            }))
        );
    }
}
