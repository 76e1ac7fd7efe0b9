//! The value of a column or of a message's member, and how it is written into a record.

mod bytes;
mod decimal;
mod encode;
mod number;
mod read;
pub(crate) mod schema;
mod time;
mod r#type;

use std::borrow::Cow;

pub(crate) use self::decimal::Decimal;
pub(crate) use self::encode::{encode, encode_header, write_described, write_float, write_json};
pub(crate) use self::number::float;
pub(crate) use self::read::read;
pub(crate) use self::schema::SchemaText;
pub(crate) use self::time::{UnixMicros, iso_timestamp, parse_date_time, parse_timestamp};
pub(crate) use self::r#type::{Handling, Type};

/// A value in the terms of Kafka Connect, borrowed from the stream unless it had to be decoded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Boolean(bool),
    /// As it is written.
    Number(Cow<'a, str>),
    Float(f32),
    Double(f64),
    /// UTF-8.
    Text(Cow<'a, [u8]>),
    Bytes(Cow<'a, [u8]>),
    /// A number whose schema knows its scale.
    Decimal(Decimal<'a>),
    /// A number that carries its scale.
    VariableDecimal(Decimal<'a>),
    /// A JSON object or array.
    Document(Cow<'a, [u8]>),
}

/// A value and its schema.
#[derive(Debug, Clone)]
pub(crate) struct Field<'a> {
    pub(crate) value: Value<'a>,
    pub(crate) schema: &'a SchemaText,
}
