//! Origin: where a replicated transaction came from.

use pg_lsn::Lsn;

use crate::body::Body;
use crate::protocol_error::ProtocolError;

/// The transaction was replicated to this server; comes right after [`Begin`](super::Begin).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Where the commit record is in the log of the server it came from.
    pub commit_lsn: Lsn,
    /// The name that the replication origin has here.
    pub name: String,
}

impl Origin {
    pub(super) fn decode(body: &mut Body) -> Result<Self, ProtocolError> {
        Ok(Self {
            commit_lsn: body.lsn("the LSN at the origin")?,
            name: body.string("the name of the origin")?,
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
        assert_eq!(
            LogicalMessage::parse(Bytes::from_static(b"O\0\0\0\0\0\0\x01\0pg_16389\0")),
            Ok(LogicalMessage::Origin(Origin {
                commit_lsn: "0/100".parse().unwrap(),
                name: "pg_16389".to_owned(),
            }))
        );
    }
}
