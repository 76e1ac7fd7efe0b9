//! Update: a changed row.

use super::{OldTuple, RelationId, Tuple};
use crate::body::Body;
use crate::protocol_error::ProtocolError;

/// A changed row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The table.
    pub relation: RelationId,
    /// The row before: its key if that changed, all of it with `REPLICA IDENTITY FULL`, else nothing.
    pub old: Option<OldTuple>,
    /// The row after.
    pub new: Tuple,
}

impl Update {
    pub(super) fn decode(body: &mut Body) -> Result<Self, ProtocolError> {
        let relation = body.u32("the table's OID").map(RelationId)?;
        let old = OldTuple::decode(body)?;
        Ok(Self {
            relation,
            old,
            new: Tuple::decode_new(body)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::pgoutput::{LogicalMessage, TupleValue};

    fn parse(bytes: &'static [u8]) -> Result<Update, ProtocolError> {
        match LogicalMessage::parse(Bytes::from_static(bytes))? {
            LogicalMessage::Update(update) => Ok(update),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_an_old_row() {
        let update = parse(b"U\0\0\x40\x06N\0\x02t\0\0\0\x011u").unwrap();
        assert_eq!(update.relation, RelationId(16390));
        assert_eq!(update.old, None);
        assert_eq!(update.new.value(1), Some(TupleValue::UnchangedToast));
    }

    #[test]
    fn with_the_old_key() {
        let update = parse(b"U\0\0\x40\x06K\0\x01t\0\0\0\x011N\0\x01t\0\0\0\x012").unwrap();
        let Some(OldTuple::Key(old)) = update.old else {
            panic!("{:?}", update.old)
        };
        assert_eq!(old.value(0), Some(TupleValue::Text(b"1")));
        assert_eq!(update.new.value(0), Some(TupleValue::Text(b"2")));
    }

    #[test]
    fn with_the_whole_old_row() {
        let update = parse(b"U\0\0\x40\x06O\0\x01nN\0\x01t\0\0\0\x012").unwrap();
        let Some(OldTuple::Full(old)) = update.old else {
            panic!("{:?}", update.old)
        };
        assert_eq!(old.value(0), Some(TupleValue::Null));
    }

    #[test]
    fn refuses_an_update_without_a_new_row() {
        parse(b"U\0\0\x40\x06O\0\x01n").unwrap_err();
        parse(b"U\0\0\x40\x06K\0\x01nO\0\x01n").unwrap_err();
    }
}
