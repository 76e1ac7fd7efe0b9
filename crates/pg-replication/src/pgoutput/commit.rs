//! Commit: a transaction is complete.

use pg_lsn::Lsn;

use crate::body::Body;
use crate::copy::PgTimestamp;
use crate::protocol_error::ProtocolError;

/// The transaction that the last [`Begin`](super::Begin) started is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// Where the commit record is.
    pub commit_lsn: Lsn,
    /// The byte after the commit record: what to confirm once the transaction is durable elsewhere.
    pub end_lsn: Lsn,
    /// When the transaction committed.
    pub commit_time: PgTimestamp,
}

impl Commit {
    pub(super) fn decode(body: &mut Body) -> Result<Self, ProtocolError> {
        body.flags(0, "zero, the only flags of a commit")?;
        Ok(Self {
            commit_lsn: body.lsn("the commit LSN")?,
            end_lsn: body.lsn("the end LSN")?,
            commit_time: body.timestamp("the commit time")?,
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
        let bytes = b"C\0\
            \0\0\0\x01\x52\x28\x03\x30\
            \0\0\0\x01\x52\x28\x03\x60\
            \0\x02\xE5\x1A\x76\x5B\x40\0";
        assert_eq!(
            LogicalMessage::parse(Bytes::from_static(bytes)),
            Ok(LogicalMessage::Commit(Commit {
                commit_lsn: "1/52280330".parse().unwrap(),
                end_lsn: "1/52280360".parse().unwrap(),
                commit_time: PgTimestamp::from_micros(0x0002_E51A_765B_4000),
            }))
        );
    }

    #[test]
    fn refuses_flags_that_it_does_not_know() {
        let error = LogicalMessage::parse(Bytes::from_static(b"C\x01")).unwrap_err();
        assert!(
            matches!(
                error,
                ProtocolError::InvalidValue {
                    offset: 0,
                    found: 1,
                    ..
                }
            ),
            "{error}"
        );
    }
}
