//! A column of which the type matters.

use pg_replication::pgoutput::{Tuple, TupleValue};

use crate::cloud_events::Media;
use crate::invalid_row::InvalidRow;
use crate::row::{PlacedField, record_time, shown};
use crate::settings::{BinaryHandling, Target};
use crate::value::{
    Field, SchemaText, Type, UnixMicros, Value, parse_date_time, parse_timestamp, read,
};

/// One column.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) index: usize,
    pub(super) name: String,
    pub(super) column_type: Type,
    pub(super) schema: SchemaText,
}

/// A column that goes into a header or the envelope.
#[derive(Debug)]
pub(super) struct PlacedColumn {
    pub(super) target: Target,
    pub(super) alias: String,
    pub(super) slot: Slot,
}

pub(super) fn bytes(value: TupleValue<'_>) -> Result<Option<&[u8]>, InvalidRow> {
    match value {
        TupleValue::Null => Ok(None),
        TupleValue::Text(bytes) | TupleValue::Binary(bytes) => Ok(Some(bytes)),
        // An INSERT always carries its values whole; anything else is not one.
        TupleValue::UnchangedToast => Err(InvalidRow::ValueLeftOut),
    }
}

impl Slot {
    pub(super) fn read<'a>(&'a self, text: Option<&'a [u8]>) -> Result<Field<'a>, InvalidRow> {
        let value = match text {
            None => Value::Null,
            Some(text) => read(self.column_type, text).map_err(|_| InvalidRow::Unreadable {
                column: self.name.clone(),
            })?,
        };
        Ok(Field {
            value,
            schema: &self.schema,
        })
    }

    pub(super) const fn media(&self) -> Media {
        match self.column_type {
            Type::Json => Media::Json,
            Type::Bytes(BinaryHandling::Bytes) => Media::Bytes,
            _ => Media::Text,
        }
    }

    pub(super) fn time(&self, text: &[u8]) -> Result<UnixMicros, InvalidRow> {
        let refused = || InvalidRow::Timestamp { text: shown(text) };
        let printed = std::str::from_utf8(text).map_err(|_| refused())?;
        let time = match self.column_type {
            Type::Int32 | Type::Int64 => printed
                .parse::<i64>()
                .ok()
                .and_then(|millis| millis.checked_mul(1000)),
            Type::Date => parse_date_time(printed),
            _ => parse_timestamp(printed),
        }
        .ok_or_else(refused)?;
        record_time(time, || shown(text))?;
        Ok(time)
    }
}

impl PlacedColumn {
    pub(super) fn read<'a>(&'a self, tuple: &'a Tuple) -> Result<PlacedField<'a>, InvalidRow> {
        let value = tuple.value(self.slot.index).unwrap_or(TupleValue::Null);
        Ok(PlacedField {
            target: self.target,
            alias: &self.alias,
            field: self.slot.read(bytes(value)?)?,
        })
    }
}
