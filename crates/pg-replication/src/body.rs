//! A checked cursor over the body of one message.
#![deny(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap
)]

use bytes::{Buf, Bytes, TryGetError};
use pg_lsn::Lsn;

use crate::copy::PgTimestamp;
use crate::protocol_error::ProtocolError;

/// The body of one message, read from front to back.
///
/// Every read is checked and names the field it was after, so that a broken message becomes a
/// [`ProtocolError`] which says where.
#[derive(Debug)]
pub(crate) struct Body {
    message: &'static str,
    bytes: Bytes,
    length: usize,
}

impl Body {
    /// Reads `bytes` with `read` as the whole body of a `message`; bytes that `read` leaves are an error.
    pub(crate) fn read_all<T>(
        message: &'static str,
        bytes: Bytes,
        read: impl FnOnce(&mut Self) -> Result<T, ProtocolError>,
    ) -> Result<T, ProtocolError> {
        let length = bytes.len();
        let mut body = Self {
            message,
            bytes,
            length,
        };
        let value = read(&mut body)?;
        match body.bytes.len() {
            0 => Ok(value),
            extra => Err(ProtocolError::TrailingBytes {
                message,
                offset: body.offset(),
                extra,
            }),
        }
    }

    /// Bytes not yet read.
    pub(crate) fn remaining(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes already read.
    pub(crate) fn offset(&self) -> usize {
        self.length.saturating_sub(self.bytes.len())
    }

    /// The error for a body that ends `ahead` bytes from here, where `expected` should be.
    pub(crate) fn truncated(&self, ahead: usize, expected: &'static str) -> ProtocolError {
        ProtocolError::Truncated {
            message: self.message,
            offset: self.offset().saturating_add(ahead),
            expected,
        }
    }

    /// The error for a byte `found`, `ahead` bytes from here, that is not `expected`.
    pub(crate) fn invalid(
        &self,
        ahead: usize,
        expected: &'static str,
        found: impl Into<i64>,
    ) -> ProtocolError {
        ProtocolError::InvalidValue {
            message: self.message,
            offset: self.offset().saturating_add(ahead),
            expected,
            found: found.into(),
        }
    }

    /// The error for the next byte, or the lack of one, where `expected` should be.
    pub(crate) fn unexpected_byte(&self, expected: &'static str) -> ProtocolError {
        match self.remaining().first() {
            Some(&found) => self.invalid(0, expected, found),
            None => self.truncated(0, expected),
        }
    }

    fn number<T>(
        &mut self,
        field: &'static str,
        get: impl FnOnce(&mut Bytes) -> Result<T, TryGetError>,
    ) -> Result<T, ProtocolError> {
        get(&mut self.bytes).map_err(|_| self.truncated(0, field))
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, ProtocolError> {
        self.number(field, Bytes::try_get_u8)
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, ProtocolError> {
        self.number(field, Bytes::try_get_u16)
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, ProtocolError> {
        self.number(field, Bytes::try_get_u32)
    }

    pub(crate) fn i32(&mut self, field: &'static str) -> Result<i32, ProtocolError> {
        self.number(field, Bytes::try_get_i32)
    }

    pub(crate) fn lsn(&mut self, field: &'static str) -> Result<Lsn, ProtocolError> {
        self.number(field, Bytes::try_get_u64).map(Lsn::new)
    }

    pub(crate) fn timestamp(&mut self, field: &'static str) -> Result<PgTimestamp, ProtocolError> {
        self.number(field, Bytes::try_get_i64)
            .map(PgTimestamp::from_micros)
    }

    /// A byte in which only the bits of `known` may be set: an unknown flag could change the meaning
    /// of everything after it.
    pub(crate) fn flags(&mut self, known: u8, field: &'static str) -> Result<u8, ProtocolError> {
        match self.remaining().first() {
            Some(&flags) if flags & !known != 0 => Err(self.invalid(0, field, flags)),
            _ => self.u8(field),
        }
    }

    /// Bytes up to a zero, which is read too and left out.
    pub(crate) fn cstr(&mut self, field: &'static str) -> Result<Bytes, ProtocolError> {
        let Some(length) = self.bytes.iter().position(|&byte| byte == 0) else {
            return Err(self.truncated(0, field));
        };
        let text = self.bytes.split_to(length);
        self.bytes.advance(1);
        Ok(text)
    }

    /// Text up to a zero. Sessions ask for UTF-8; what a server without an encoding (`SQL_ASCII`) sends
    /// in spite of that becomes U+FFFD, for a name that nobody selected must not stop the stream.
    pub(crate) fn string(&mut self, field: &'static str) -> Result<String, ProtocolError> {
        self.cstr(field)
            .map(|text| String::from_utf8_lossy(&text).into_owned())
    }

    /// The next `length` bytes, not copied.
    pub(crate) fn take(
        &mut self,
        length: usize,
        field: &'static str,
    ) -> Result<Bytes, ProtocolError> {
        if self.bytes.len() < length {
            return Err(self.truncated(0, field));
        }
        Ok(self.bytes.split_to(length))
    }

    /// Everything that is left, not copied.
    pub(crate) fn rest(&mut self) -> Bytes {
        self.bytes.split_off(0)
    }
}
