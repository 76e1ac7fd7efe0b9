//! Where the outbox contract's columns stand in a table, by name, from its latest Relation message: columns
//! may be reordered, added and dropped while the stream runs.

use pg_replication::pgoutput::{Relation, Tuple, TupleValue, TypeOid};

use super::row::{InvalidRow, Row, Value};
use crate::config::OutboxConfig;

/// PostgreSQL's fixed type number of `bytea`.
const BYTEA: TypeOid = TypeOid(17);

/// What the relay makes of a column: nothing, or more than one thing, such as both id and key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Column {
    encoding: Encoding,
    is_id: bool,
    is_route: bool,
    is_key: bool,
    is_payload: bool,
    is_headers: bool,
}

/// How the bytes of a column's text form become the record's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    /// As PostgreSQL prints it.
    AsPrinted,
    /// `\x…` is decoded.
    Hexadecimal,
}

/// The columns of one outbox table.
#[derive(Debug)]
pub(super) struct Layout {
    table: String,
    columns: Vec<Column>,
}

/// The table has no such column (or the publication's column list leaves it out).
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("table {table} does not publish the column {column:?}, which [outbox] {option} names")]
pub(crate) struct MissingColumn {
    pub(crate) table: String,
    pub(crate) column: String,
    pub(crate) option: &'static str,
}

/// The columns without which a row cannot be sent, each with its key in section `[outbox]`.
pub(super) fn required_columns(config: &OutboxConfig) -> [(&'static str, &str); 4] {
    [
        ("id", &config.id),
        ("route_by", &config.route_by),
        ("key", &config.key),
        ("payload", &config.payload),
    ]
}

impl Layout {
    pub(super) fn of(relation: &Relation, config: &OutboxConfig) -> Result<Self, MissingColumn> {
        let table = format!("{}.{}", relation.namespace, relation.name);
        for (option, column) in required_columns(config) {
            if !relation.columns.iter().any(|c| c.name == column) {
                return Err(MissingColumn {
                    table,
                    column: column.to_owned(),
                    option,
                });
            }
        }
        let columns = relation.columns.iter().map(|column| {
            let name = column.name.as_str();
            Column {
                encoding: if column.type_oid == BYTEA {
                    Encoding::Hexadecimal
                } else {
                    Encoding::AsPrinted
                },
                is_id: name == config.id,
                is_route: name == config.route_by,
                is_key: name == config.key,
                is_payload: name == config.payload,
                is_headers: name == config.headers,
            }
        });
        Ok(Self {
            columns: columns.collect(),
            table,
        })
    }

    /// The table's schema and name.
    pub(super) fn table(&self) -> &str {
        &self.table
    }

    /// The contract's columns of one row, borrowed from the tuple.
    pub(super) fn read<'a>(&self, tuple: &'a Tuple) -> Result<Row<'a>, InvalidRow> {
        if tuple.len() != self.columns.len() {
            return Err(InvalidRow::ColumnCount {
                expected: self.columns.len(),
                found: tuple.len(),
            });
        }
        let mut row = PartialRow::default();
        for (column, value) in self.columns.iter().zip(tuple.iter()) {
            let bytes = match value {
                TupleValue::Null => None,
                TupleValue::Text(bytes) | TupleValue::Binary(bytes) => Some(bytes),
                // An INSERT always carries its values whole; anything else is not one.
                TupleValue::UnchangedToast => return Err(InvalidRow::ValueLeftOut),
            };
            if column.is_id {
                row.id = bytes;
            }
            if column.is_route {
                row.route = bytes;
            }
            if column.is_key {
                row.key = column.encoding.decode(bytes)?;
            }
            if column.is_payload {
                row.payload = column.encoding.decode(bytes)?;
            }
            if column.is_headers {
                row.headers = bytes;
            }
        }
        row.complete()
    }
}

#[derive(Default)]
struct PartialRow<'a> {
    id: Option<&'a [u8]>,
    route: Option<&'a [u8]>,
    key: Option<Value<'a>>,
    payload: Option<Value<'a>>,
    headers: Option<&'a [u8]>,
}

impl<'a> PartialRow<'a> {
    fn complete(self) -> Result<Row<'a>, InvalidRow> {
        let route = self.route.ok_or(InvalidRow::NoRoute)?;
        Ok(Row {
            id: self
                .id
                .filter(|id| !id.is_empty())
                .ok_or(InvalidRow::NoId)?,
            route: std::str::from_utf8(route).map_err(|_| InvalidRow::RouteNotText)?,
            key: self.key,
            payload: self.payload,
            headers: self.headers,
        })
    }
}

impl Encoding {
    fn decode(self, bytes: Option<&[u8]>) -> Result<Option<Value<'_>>, InvalidRow> {
        match (self, bytes) {
            (_, None) => Ok(None),
            (Self::AsPrinted, Some(bytes)) => Ok(Some(Value::Borrowed(bytes))),
            (Self::Hexadecimal, Some(text)) => decode_hexadecimal(text)
                .map(|bytes| Some(Value::Owned(bytes)))
                .ok_or(InvalidRow::NotHexadecimal),
        }
    }
}

/// PostgreSQL's hex format of `bytea`: `\x` and two digits a byte. The session asks for it, whatever the
/// server's `bytea_output` is.
fn decode_hexadecimal(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
    };
    let digits = text.strip_prefix(b"\\x")?;
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    pairs
        .iter()
        .map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytea_text_becomes_its_bytes() {
        assert_eq!(
            decode_hexadecimal(b"\\x00fFa9"),
            Some(vec![0x00, 0xff, 0xa9])
        );
        assert_eq!(decode_hexadecimal(b"\\x"), Some(vec![]));
        for text in [&b"00"[..], b"\\x0", b"\\x0g", b"", b"\\x+1"] {
            assert_eq!(decode_hexadecimal(text), None, "{text:?}");
        }
    }
}
