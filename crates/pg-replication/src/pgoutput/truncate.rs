//! Truncate: emptied tables.

use super::RelationId;
use crate::body::Body;
use crate::protocol_error::ProtocolError;

const CASCADE: u8 = 1;
const RESTART_IDENTITY: u8 = 2;

/// Tables that one statement has emptied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truncate {
    /// The tables.
    pub relations: Vec<RelationId>,
    /// The statement said `CASCADE`.
    pub cascade: bool,
    /// The statement said `RESTART IDENTITY`.
    pub restart_identity: bool,
}

impl Truncate {
    pub(super) fn decode(body: &mut Body) -> Result<Self, ProtocolError> {
        let count = body.u32("the number of tables")?;
        let options = body.flags(
            CASCADE | RESTART_IDENTITY,
            "the options of TRUNCATE (0 to 3)",
        )?;
        let relations = (0..count)
            .map(|_| body.u32("a table's OID").map(RelationId))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            relations,
            cascade: options & CASCADE != 0,
            restart_identity: options & RESTART_IDENTITY != 0,
        })
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
        assert_eq!(
            parse(b"T\0\0\0\x02\x01\0\0\x40\x06\0\0\x40\x0A"),
            Ok(LogicalMessage::Truncate(Truncate {
                relations: vec![RelationId(16390), RelationId(16394)],
                cascade: true,
                restart_identity: false,
            }))
        );
        let parsed = parse(b"T\0\0\0\x01\x02\0\0\x40\x06");
        let Ok(LogicalMessage::Truncate(truncate)) = parsed else {
            panic!("{parsed:?}")
        };
        assert!(truncate.restart_identity && !truncate.cascade);
    }

    #[test]
    fn refuses_other_counts_and_unknown_options() {
        parse(b"T\xff\xff\xff\xff\0\0\0\x40\x06").unwrap_err();
        parse(b"T\0\0\0\x01\0\0\0\x40\x06\0").unwrap_err();
        parse(b"T\0\0\0\x01\x04\0\0\x40\x06").unwrap_err();
    }
}
