//! Insert: a new row.

use super::{RelationId, Tuple};
use crate::body::Body;
use crate::protocol_error::ProtocolError;

/// A new row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insert {
    /// The table.
    pub relation: RelationId,
    /// The row.
    pub new: Tuple,
}

impl Insert {
    pub(super) fn decode(body: &mut Body) -> Result<Self, ProtocolError> {
        let relation = body.u32("the table's OID").map(RelationId)?;
        Ok(Self {
            relation,
            new: Tuple::decode_new(body)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::pgoutput::{LogicalMessage, TupleValue};

    fn parse(bytes: &'static [u8]) -> Result<LogicalMessage, ProtocolError> {
        LogicalMessage::parse(Bytes::from_static(bytes))
    }

    #[test]
    fn reads_every_field() {
        let parsed = parse(b"I\0\0\x40\x06N\0\x02t\0\0\0\x0242n");
        let Ok(LogicalMessage::Insert(insert)) = parsed else {
            panic!("{parsed:?}")
        };
        assert_eq!(insert.relation, RelationId(16390));
        assert_eq!(
            insert.new.iter().collect::<Vec<_>>(),
            [TupleValue::Text(b"42"), TupleValue::Null]
        );
    }

    #[test]
    fn refuses_anything_but_one_new_row() {
        for bytes in [
            &b"I\0\0\x40\x06"[..],
            b"I\0\0\x40\x06K\0\x01n",
            b"I\0\0\x40\x06N\0\x01",
            b"I\0\0\x40\x06N\0\x01nN\0\x01n",
        ] {
            parse(bytes).unwrap_err();
        }
    }
}
