//! ReadyForQuery: the server waits for a command.

use crate::body::Body;
use crate::protocol_error::ProtocolError;

/// Where the session stands when the server waits for a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransactionStatus {
    Idle,
    InTransaction,
    Failed,
}

impl TransactionStatus {
    pub(super) fn decode(body: &mut Body) -> Result<Self, ProtocolError> {
        const EXPECTED: &str = "the transaction status ('I', 'T' or 'E')";
        let status = match body.remaining().first() {
            Some(b'I') => Self::Idle,
            Some(b'T') => Self::InTransaction,
            Some(b'E') => Self::Failed,
            _ => return Err(body.unexpected_byte(EXPECTED)),
        };
        body.u8(EXPECTED)?;
        Ok(status)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn decode(body: &'static [u8]) -> Result<TransactionStatus, ProtocolError> {
        Body::read_all(
            "ReadyForQuery",
            Bytes::from_static(body),
            TransactionStatus::decode,
        )
    }

    #[test]
    fn reads_every_status() {
        assert_eq!(decode(b"I"), Ok(TransactionStatus::Idle));
        assert_eq!(decode(b"T"), Ok(TransactionStatus::InTransaction));
        assert_eq!(decode(b"E"), Ok(TransactionStatus::Failed));
    }

    #[test]
    fn refuses_anything_else() {
        for body in [&b""[..], b"x", b"II"] {
            decode(body).unwrap_err();
        }
    }
}
