//! RowDescription: the columns of a query's answer.

use crate::body::Body;
use crate::protocol_error::ProtocolError;

/// The columns of a query's answer. Only their names: simple queries give text, whatever the type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowDescription {
    pub(crate) names: Vec<String>,
}

impl RowDescription {
    pub(super) fn decode(body: &mut Body) -> Result<Self, ProtocolError> {
        let count = body.u16("the number of columns")?;
        let names = (0..count).map(|_| name(body)).collect::<Result<_, _>>()?;
        Ok(Self { names })
    }
}

/// Reads one column; table, attribute, type, size, modifier and format follow its name.
fn name(body: &mut Body) -> Result<String, ProtocolError> {
    let name = body.string("the name of a column")?;
    body.take(18, "the description of a column")?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn decode(body: &'static [u8]) -> Result<RowDescription, ProtocolError> {
        Body::read_all(
            "RowDescription",
            Bytes::from_static(body),
            RowDescription::decode,
        )
    }

    #[test]
    fn reads_the_names() {
        let body = b"\0\x02\
            systemid\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0\
            timeline\0\0\0\0\0\0\0\0\0\0\x14\0\x08\xff\xff\xff\xff\0\0";
        assert_eq!(
            decode(body),
            Ok(RowDescription {
                names: vec!["systemid".to_owned(), "timeline".to_owned()]
            })
        );
    }

    #[test]
    fn refuses_other_lengths() {
        decode(b"\0\x01a\0\0\0\0\0").unwrap_err();
        decode(b"\0\0x").unwrap_err();
        decode(b"\xff\xff").unwrap_err();
    }
}
