//! DataRow: one row of a query's answer.

use bytes::Bytes;

use crate::body::Body;
use crate::protocol_error::ProtocolError;

/// One row of a query's answer; `None` is SQL NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataRow {
    pub(crate) values: Vec<Option<Bytes>>,
}

impl DataRow {
    pub(super) fn decode(body: &mut Body) -> Result<Self, ProtocolError> {
        let count = body.u16("the number of columns")?;
        let values = (0..count).map(|_| value(body)).collect::<Result<_, _>>()?;
        Ok(Self { values })
    }
}

fn value(body: &mut Body) -> Result<Option<Bytes>, ProtocolError> {
    match body.i32("the length of a value")? {
        -1 => Ok(None),
        length => {
            // Any other negative length is as wrong as one beyond the body.
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            body.take(length, "the bytes of a value").map(Some)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(body: &'static [u8]) -> Result<DataRow, ProtocolError> {
        Body::read_all("DataRow", Bytes::from_static(body), DataRow::decode)
    }

    #[test]
    fn reads_values_empty_ones_and_nulls() {
        let row = decode(b"\0\x03\0\0\0\x0242\xff\xff\xff\xff\0\0\0\0").unwrap();
        assert_eq!(
            row.values,
            [Some(Bytes::from_static(b"42")), None, Some(Bytes::new())]
        );
    }

    #[test]
    fn refuses_lengths_that_do_not_fit() {
        for body in [
            &b"\0"[..],
            b"\0\x01",
            b"\0\x01\0\0\0\x02a",
            b"\0\x01\xff\xff\xff\xfea",
            b"\0\x01\0\0\0\x01ab",
            b"\xff\xff",
        ] {
            decode(body).unwrap_err();
        }
    }
}
