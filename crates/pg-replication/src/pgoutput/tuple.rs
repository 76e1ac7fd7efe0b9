//! The columns of one row.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::body::Body;
use crate::protocol_error::ProtocolError;

/// The columns of one row, in the order of their [`Relation`](super::Relation).
///
/// Holds the bytes as they came and reads them when asked; they were checked when the message was parsed.
#[derive(Clone, PartialEq, Eq)]
pub struct Tuple {
    columns: u16,
    values: Bytes,
}

/// The value of one column, borrowed from its [`Tuple`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TupleValue<'a> {
    /// SQL NULL.
    Null,
    /// A large value that the statement did not change, and that the server therefore did not look up.
    UnchangedToast,
    /// The value as its type prints it.
    Text(&'a [u8]),
    /// The value as its type sends it; only if the stream was asked for `binary`.
    Binary(&'a [u8]),
}

/// What the server sent of a row before it changed or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OldTuple {
    /// The columns of the replica identity; the others are [`TupleValue::Null`].
    Key(Tuple),
    /// All columns: the table has `REPLICA IDENTITY FULL`.
    Full(Tuple),
}

/// The values of a [`Tuple`], from the first column to the last.
#[derive(Debug, Clone)]
pub struct TupleValues<'a> {
    left: u16,
    rest: &'a [u8],
}

/// A row has more columns, or a value more bytes, than the wire's numbers can count; no row of PostgreSQL does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a row has more columns or a larger value than PostgreSQL can send")]
pub struct TupleTooLarge;

/// Why the bytes of a tuple are not the columns they should be.
enum Malformed {
    EndsBefore(&'static str),
    UnknownKind(u8),
}

impl Tuple {
    /// A row that did not come by the stream: its values as text, `None` for NULL. It is equal to the streamed one
    /// when the texts were printed under the same settings.
    ///
    /// # Errors
    ///
    /// [`TupleTooLarge`] beyond 65535 columns or 4 GiB a value.
    pub fn from_texts<'a>(
        texts: impl IntoIterator<Item = Option<&'a [u8]>>,
    ) -> Result<Self, TupleTooLarge> {
        let mut columns = 0_u16;
        let mut values = BytesMut::new();
        for text in texts {
            columns = columns.checked_add(1).ok_or(TupleTooLarge)?;
            let Some(text) = text else {
                values.put_u8(b'n');
                continue;
            };
            let length = u32::try_from(text.len()).map_err(|_| TupleTooLarge)?;
            values.reserve(text.len() + 5);
            values.put_u8(b't');
            values.put_u32(length);
            values.put_slice(text);
        }
        Ok(Self {
            columns,
            values: values.freeze(),
        })
    }

    /// Reads the column count and the columns, and leaves what comes after them.
    pub(super) fn decode(body: &mut Body) -> Result<Self, ProtocolError> {
        let columns = body.u16("the number of columns")?;
        let all = body.remaining();
        let mut rest = all;
        for _ in 0..columns {
            let ahead = all.len().saturating_sub(rest.len());
            rest = match split_value(rest) {
                Ok((_, rest)) => rest,
                Err(Malformed::EndsBefore(expected)) => return Err(body.truncated(ahead, expected)),
                Err(Malformed::UnknownKind(kind)) => {
                    return Err(body.invalid(
                        ahead,
                        "the kind of a value ('n', 'u', 't' or 'b')",
                        kind,
                    ));
                }
            };
        }
        let length = all.len().saturating_sub(rest.len());
        Ok(Self {
            columns,
            values: body.take(length, "the columns")?,
        })
    }

    /// Reads the row after a change, which the letter `N` announces.
    pub(super) fn decode_new(body: &mut Body) -> Result<Self, ProtocolError> {
        const EXPECTED: &str = "a new row ('N')";
        if body.remaining().first() != Some(&b'N') {
            return Err(body.unexpected_byte(EXPECTED));
        }
        body.u8(EXPECTED)?;
        Self::decode(body)
    }

    /// The number of columns.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.columns)
    }

    /// Whether the row has no column at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.columns == 0
    }

    /// The values in order. Neither allocates nor counts references: the way to read several columns.
    #[must_use]
    pub fn iter(&self) -> TupleValues<'_> {
        TupleValues {
            left: self.columns,
            rest: &self.values,
        }
    }

    /// The value of the column at `index`, counted from 0; `None` behind the last one. Walks over all
    /// columns before it.
    #[must_use]
    pub fn value(&self, index: usize) -> Option<TupleValue<'_>> {
        self.iter().nth(index)
    }

    /// Bytes that the row takes on the wire.
    #[must_use]
    pub fn wire_size(&self) -> usize {
        self.values.len()
    }
}

impl OldTuple {
    /// Reads the row before a change if there is one: the letter `K` or `O` announces it.
    pub(super) fn decode(body: &mut Body) -> Result<Option<Self>, ProtocolError> {
        let form = match body.remaining().first() {
            Some(b'K') => Self::Key,
            Some(b'O') => Self::Full,
            _ => return Ok(None),
        };
        body.u8("the form of the old row")?;
        Tuple::decode(body).map(form).map(Some)
    }
}

impl<'a> TupleValue<'a> {
    /// The bytes of a value that has some, whatever their format.
    #[must_use]
    pub fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => Some(bytes),
            Self::Null | Self::UnchangedToast => None,
        }
    }
}

impl<'a> IntoIterator for &'a Tuple {
    type Item = TupleValue<'a>;
    type IntoIter = TupleValues<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> Iterator for TupleValues<'a> {
    type Item = TupleValue<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (value, rest) = split_value(self.rest).ok()?;
        self.rest = rest;
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::from(self.left);
        (left, Some(left))
    }
}

impl ExactSizeIterator for TupleValues<'_> {}

/// Splits the first value off `bytes`.
fn split_value(bytes: &[u8]) -> Result<(TupleValue<'_>, &[u8]), Malformed> {
    let Some((&kind, rest)) = bytes.split_first() else {
        return Err(Malformed::EndsBefore("the kind of a value"));
    };
    match kind {
        b'n' => Ok((TupleValue::Null, rest)),
        b'u' => Ok((TupleValue::UnchangedToast, rest)),
        b't' => split_sized(rest).map(|(value, rest)| (TupleValue::Text(value), rest)),
        b'b' => split_sized(rest).map(|(value, rest)| (TupleValue::Binary(value), rest)),
        kind => Err(Malformed::UnknownKind(kind)),
    }
}

/// Splits a length and that many bytes off `bytes`. A negative length is a huge one, and too much for any body.
fn split_sized(bytes: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else {
        return Err(Malformed::EndsBefore("the length of a value"));
    };
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
        .ok_or(Malformed::EndsBefore("the bytes of a value"))
}

impl fmt::Debug for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &'static [u8]) -> Result<Tuple, ProtocolError> {
        Body::read_all("Tuple", Bytes::from_static(bytes), Tuple::decode)
    }

    #[test]
    fn reads_every_kind_of_value() {
        let tuple = decode(b"\0\x05nut\0\0\0\x02abb\0\0\0\x01\0t\0\0\0\0").unwrap();
        assert_eq!(tuple.len(), 5);
        let mut values = tuple.iter();
        values.next();
        assert_eq!(values.len(), 4);
        assert_eq!(
            tuple.iter().collect::<Vec<_>>(),
            [
                TupleValue::Null,
                TupleValue::UnchangedToast,
                TupleValue::Text(b"ab"),
                TupleValue::Binary(b"\0"),
                TupleValue::Text(b""),
            ]
        );
        assert_eq!(tuple.value(2), Some(TupleValue::Text(b"ab")));
        assert_eq!(tuple.value(5), None);
    }

    #[test]
    fn a_row_made_of_texts_is_the_streamed_one() {
        let made = Tuple::from_texts([Some(&b"ab"[..]), None, Some(b"")]).unwrap();
        assert_eq!(Ok(made), decode(b"\0\x03t\0\0\0\x02abnt\0\0\0\0"));
        assert_eq!(
            Tuple::from_texts(std::iter::repeat_n(None, 65_536)),
            Err(TupleTooLarge)
        );
    }

    #[test]
    fn a_row_without_columns_is_a_row() {
        assert!(decode(b"\0\0").unwrap().is_empty());
    }

    #[test]
    fn says_which_value_is_broken() {
        let error = decode(b"\0\x02nx").unwrap_err();
        assert!(
            matches!(
                error,
                ProtocolError::InvalidValue {
                    offset: 3,
                    found: 0x78,
                    ..
                }
            ),
            "{error}"
        );
        let error = decode(b"\0\x02nt\0\0\0\x02a").unwrap_err();
        assert!(
            matches!(error, ProtocolError::Truncated { offset: 3, .. }),
            "{error}"
        );
    }

    #[test]
    fn refuses_lengths_that_do_not_fit() {
        for bytes in [
            &b"\0"[..],
            b"\0\x01",
            b"\0\x01t",
            b"\0\x01t\0\0\0",
            b"\0\x01t\xff\xff\xff\xffa",
            b"\0\x01t\x7f\xff\xff\xffa",
            b"\xff\xffn",
            b"\0\x01nn",
        ] {
            decode(bytes).unwrap_err();
        }
    }
}
