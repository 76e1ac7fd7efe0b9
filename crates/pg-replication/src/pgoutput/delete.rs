//! Delete: a removed row.

use super::{OldTuple, RelationId};
use crate::body::Body;
use crate::protocol_error::ProtocolError;

/// A removed row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delete {
    /// The table.
    pub relation: RelationId,
    /// The row before: its key, or all of it with `REPLICA IDENTITY FULL`.
    pub old: OldTuple,
}

impl Delete {
    pub(super) fn decode(body: &mut Body) -> Result<Self, ProtocolError> {
        let relation = body.u32("the table's OID").map(RelationId)?;
        match OldTuple::decode(body)? {
            Some(old) => Ok(Self { relation, old }),
            None => Err(body.unexpected_byte("an old row ('K' or 'O')")),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::pgoutput::{LogicalMessage, TupleValue};

    fn parse(bytes: &'static [u8]) -> Result<Delete, ProtocolError> {
        match LogicalMessage::parse(Bytes::from_static(bytes))? {
            LogicalMessage::Delete(delete) => Ok(delete),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn with_the_old_key() {
        let delete = parse(b"D\0\0\x40\x06K\0\x02t\0\0\0\x011n").unwrap();
        assert_eq!(delete.relation, RelationId(16390));
        let OldTuple::Key(old) = delete.old else {
            panic!("{:?}", delete.old)
        };
        assert_eq!(
            old.iter().collect::<Vec<_>>(),
            [TupleValue::Text(b"1"), TupleValue::Null]
        );
    }

    #[test]
    fn with_the_whole_old_row() {
        let delete = parse(b"D\0\0\x40\x06O\0\x01t\0\0\0\x011").unwrap();
        assert!(matches!(delete.old, OldTuple::Full(_)));
    }

    #[test]
    fn refuses_a_delete_without_an_old_row() {
        let error = parse(b"D\0\0\x40\x06N\0\x01n").unwrap_err();
        assert!(
            matches!(
                error,
                ProtocolError::InvalidValue {
                    offset: 4,
                    found: 0x4e,
                    ..
                }
            ),
            "{error}"
        );
        let error = parse(b"D\0\0\x40\x06").unwrap_err();
        assert!(
            matches!(error, ProtocolError::Truncated { offset: 4, .. }),
            "{error}"
        );
    }
}
