//! Type: a data type that is not built in.

use super::{TypeOid, relation};
use crate::body::Body;
use crate::protocol_error::ProtocolError;

/// A data type that is not built in, sent before the first table with a column of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Type {
    /// What columns call it.
    pub oid: TypeOid,
    /// The schema.
    pub namespace: String,
    /// The type's name in the schema.
    pub name: String,
}

impl Type {
    pub(super) fn decode(body: &mut Body) -> Result<Self, ProtocolError> {
        Ok(Self {
            oid: body.u32("the type's OID").map(TypeOid)?,
            namespace: body.string("the schema").map(relation::namespace)?,
            name: body.string("the type's name")?,
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
            LogicalMessage::parse(Bytes::from_static(b"Y\0\0\x40\x01public\0mood\0")),
            Ok(LogicalMessage::Type(Type {
                oid: TypeOid(16385),
                namespace: "public".to_owned(),
                name: "mood".to_owned(),
            }))
        );
    }

    #[test]
    fn an_empty_schema_is_pg_catalog() {
        let parsed = LogicalMessage::parse(Bytes::from_static(b"Y\0\0\0\x19\0text\0"));
        let Ok(LogicalMessage::Type(parsed)) = parsed else {
            panic!("not a type: {parsed:?}")
        };
        assert_eq!(parsed.namespace, "pg_catalog");
    }
}
