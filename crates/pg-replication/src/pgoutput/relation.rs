//! Relation: a table and its columns.

use super::{RelationId, TypeOid};
use crate::body::Body;
use crate::protocol_error::ProtocolError;

/// A table. Rows name it by [`id`](Self::id), and have its columns in this order until the next
/// `Relation` with that id.
///
/// Names that are not UTF-8 (possible in a database with encoding `SQL_ASCII`) have U+FFFD in the place
/// of what cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// What rows call it.
    pub id: RelationId,
    /// The schema.
    pub namespace: String,
    /// The table's name in the schema.
    pub name: String,
    /// What the server sends of the old row when a row changes or goes.
    pub replica_identity: ReplicaIdentity,
    /// The published columns, in the order in which rows have them.
    pub columns: Vec<Column>,
}

/// A column of a [`Relation`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Whether it belongs to the replica identity.
    pub is_key: bool,
    /// The column's name.
    pub name: String,
    /// The data type.
    pub type_oid: TypeOid,
    /// What the type was given in brackets (`atttypmod`), -1 for nothing.
    pub type_modifier: i32,
}

/// What the server sends of the old row: `ALTER TABLE … REPLICA IDENTITY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplicaIdentity {
    /// The primary key.
    Default,
    /// Nothing.
    Nothing,
    /// The whole row.
    Full,
    /// The columns of an index.
    Index,
}

/// The schema that an empty name on the wire stands for.
pub(super) fn namespace(name: String) -> String {
    if name.is_empty() {
        "pg_catalog".to_owned()
    } else {
        name
    }
}

impl Relation {
    pub(super) fn decode(body: &mut Body) -> Result<Self, ProtocolError> {
        let id = body.u32("the table's OID").map(RelationId)?;
        let namespace = body.string("the schema").map(namespace)?;
        let name = body.string("the table's name")?;
        let replica_identity = ReplicaIdentity::decode(body)?;
        let count = body.u16("the number of columns")?;
        let columns = (0..count)
            .map(|_| Column::decode(body))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            id,
            namespace,
            name,
            replica_identity,
            columns,
        })
    }
}

impl Column {
    fn decode(body: &mut Body) -> Result<Self, ProtocolError> {
        Ok(Self {
            is_key: body.flags(1, "0 or 1, the flags of a column")? == 1,
            name: body.string("the column's name")?,
            type_oid: body.u32("the OID of the column's type").map(TypeOid)?,
            type_modifier: body.i32("the type modifier")?,
        })
    }
}

impl ReplicaIdentity {
    fn decode(body: &mut Body) -> Result<Self, ProtocolError> {
        const EXPECTED: &str = "the replica identity ('d', 'n', 'f' or 'i')";
        let identity = match body.remaining().first() {
            Some(b'd') => Self::Default,
            Some(b'n') => Self::Nothing,
            Some(b'f') => Self::Full,
            Some(b'i') => Self::Index,
            _ => return Err(body.unexpected_byte(EXPECTED)),
        };
        body.u8(EXPECTED)?;
        Ok(identity)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::pgoutput::LogicalMessage;

    fn parse(bytes: &'static [u8]) -> Result<LogicalMessage, ProtocolError> {
        LogicalMessage::parse(Bytes::from_static(bytes))
    }

    #[test]
    fn reads_every_field() {
        let bytes = b"R\0\0\x40\x06cdc\0outbox\0f\0\x02\
            \x01id\0\0\0\x0B\x86\xff\xff\xff\xff\
            \0type\0\0\0\x04\x13\0\0\0\x14";
        assert_eq!(
            parse(bytes),
            Ok(LogicalMessage::Relation(Relation {
                id: RelationId(16390),
                namespace: "cdc".to_owned(),
                name: "outbox".to_owned(),
                replica_identity: ReplicaIdentity::Full,
                columns: vec![
                    Column {
                        is_key: true,
                        name: "id".to_owned(),
                        type_oid: TypeOid(2950),
                        type_modifier: -1
                    },
                    Column {
                        is_key: false,
                        name: "type".to_owned(),
                        type_oid: TypeOid(1043),
                        type_modifier: 20
                    },
                ],
            }))
        );
    }

    #[test]
    fn an_empty_schema_is_pg_catalog_and_a_strange_name_no_reason_to_stop() {
        let Ok(LogicalMessage::Relation(relation)) = parse(b"R\0\0\0\x01\0gr\xfcn\0n\0\0") else {
            panic!("not a relation");
        };
        assert_eq!(relation.namespace, "pg_catalog");
        assert_eq!(relation.name, "gr\u{fffd}n");
    }

    #[test]
    fn refuses_an_unknown_replica_identity() {
        let error = parse(b"R\0\0\0\x01s\0t\0x\0\0").unwrap_err();
        assert!(
            matches!(
                error,
                ProtocolError::InvalidValue {
                    offset: 8,
                    found: 0x78,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn a_promise_of_columns_that_do_not_come_costs_nothing() {
        let error = parse(b"R\0\0\0\x01s\0t\0d\xff\xff").unwrap_err();
        assert!(
            matches!(error, ProtocolError::Truncated { offset: 11, .. }),
            "{error}"
        );
    }
}
