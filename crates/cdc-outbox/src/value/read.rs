//! From the text that PostgreSQL prints to a value.

use std::borrow::Cow;

use super::r#type::{Precision, Type};
use super::{Decimal, Value, bytes, time};
use crate::settings::BinaryHandling;

/// The text is not what PostgreSQL prints for the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// Reads a column's text. What a type has besides numbers (`infinity`, `NaN`) is a text.
pub(crate) fn read(column: Type, text: &[u8]) -> Result<Value<'_>, Unreadable> {
    Ok(match column {
        Type::Text | Type::Uuid | Type::Json | Type::Xml => Value::Text(Cow::Borrowed(text)),
        Type::Int16 | Type::Int32 | Type::Int64 => Value::Number(Cow::Borrowed(utf8(text)?)),
        Type::Boolean => Value::Boolean(match text {
            b"t" => true,
            b"f" => false,
            _ => return Err(Unreadable),
        }),
        Type::Float => Value::Float(utf8(text)?.parse().map_err(|_| Unreadable)?),
        Type::Double => Value::Double(utf8(text)?.parse().map_err(|_| Unreadable)?),
        Type::Bytes(handling) => read_bytes(text, handling).ok_or(Unreadable)?,
        Type::Decimal { .. } => Decimal::parse(utf8(text)?).map_or(as_text(text), Value::Decimal),
        Type::VariableDecimal => {
            Decimal::parse(utf8(text)?).map_or(as_text(text), Value::VariableDecimal)
        }
        Type::Date => time::parse_date(utf8(text)?).map_or(as_text(text), integer),
        Type::Time(precision) => {
            let micros = time::parse_time(utf8(text)?).ok_or(Unreadable)?;
            integer(precision.count(micros))
        }
        Type::Timestamp(precision) => time::parse_timestamp(utf8(text)?)
            .map_or(as_text(text), |micros| integer(precision.count(micros))),
        Type::ZonedTime => {
            let micros = time::parse_zoned_time(utf8(text)?).ok_or(Unreadable)?;
            Value::Text(Cow::Owned(time::iso_time(micros).into_bytes()))
        }
        Type::ZonedTimestamp(digits) => time::parse_timestamp(utf8(text)?)
            .map_or(as_text(text), |micros| {
                Value::Text(Cow::Owned(time::iso_timestamp(micros, digits).into_bytes()))
            }),
    })
}

impl Precision {
    const fn count(self, micros: i64) -> i64 {
        match self {
            Self::Millis => micros.div_euclid(1000),
            Self::Micros => micros,
        }
    }
}

fn read_bytes(text: &[u8], handling: BinaryHandling) -> Option<Value<'_>> {
    Some(match handling {
        BinaryHandling::Bytes => Value::Bytes(Cow::Owned(bytes::decode_hex(text)?)),
        BinaryHandling::Base64 => owned(bytes::base64(&bytes::decode_hex(text)?)),
        BinaryHandling::Base64UrlSafe => owned(bytes::base64_url_safe(&bytes::decode_hex(text)?)),
        BinaryHandling::Hex => Value::Text(Cow::Borrowed(bytes::hex_digits(text)?)),
    })
}

const fn as_text(text: &[u8]) -> Value<'_> {
    Value::Text(Cow::Borrowed(text))
}

fn owned(text: String) -> Value<'static> {
    Value::Text(Cow::Owned(text.into_bytes()))
}

fn integer<'a>(number: i64) -> Value<'a> {
    Value::Number(Cow::Owned(number.to_string()))
}

fn utf8(text: &[u8]) -> Result<&str, Unreadable> {
    std::str::from_utf8(text).map_err(|_| Unreadable)
}
