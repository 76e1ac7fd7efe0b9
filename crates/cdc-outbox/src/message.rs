//! An event that was written by `pg_logical_emit_message`, as `cdc.emit_message` does: a JSON object with the outbox
//! table's columns as members.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use crate::cloud_events::Media;
use crate::invalid_row::InvalidRow;
use crate::row::{Origin, PlacedField, Row, number, partition, record_time, shown};
use crate::settings::{MessagePayload, MissingPlacement, OutboxSettings, Target};
use crate::value::schema::{
    OPTIONAL_BOOLEAN, OPTIONAL_DOUBLE, OPTIONAL_INT32, OPTIONAL_INT64, OPTIONAL_JSON,
    OPTIONAL_STRING,
};
use crate::value::{Field, UnixMicros, Value, parse_timestamp};

/// `ce_source` of an event that has no table.
const SOURCE: &str = "/message";

/// The members of the object, unparsed. Of a repeated name the last one counts.
#[derive(Debug)]
pub(crate) struct Members<'a>(SmallVec<[(Cow<'a, str>, &'a RawValue); 8]>);

impl<'a> Members<'a> {
    pub(crate) fn parse(content: &'a [u8]) -> Result<Self, InvalidRow> {
        let mut deserializer = serde_json::Deserializer::from_slice(content);
        let members = deserializer
            .deserialize_map(MembersVisitor)
            .map_err(InvalidRow::Message)?;
        deserializer.end().map_err(InvalidRow::Message)?;
        Ok(members)
    }

    fn raw(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.0.iter().rev().find(|(known, _)| known == name)?;
        Some(value.get())
    }

    /// A member that is there and not null.
    fn present(&self, name: &str) -> Option<&'a str> {
        self.raw(name).filter(|text| *text != "null")
    }

    fn field(&self, name: &str) -> Result<Field<'a>, InvalidRow> {
        self.raw(name).map_or(Ok(NULL), |raw| field(raw, name))
    }

    /// The event's key.
    pub(crate) fn key(&self, settings: &OutboxSettings) -> Result<Field<'a>, InvalidRow> {
        self.field(&settings.columns.key)
    }

    /// What the message says, and the text of its routing member.
    pub(crate) fn read(
        &self,
        settings: &'a OutboxSettings,
    ) -> Result<(Row<'a>, Cow<'a, str>), InvalidRow> {
        let columns = &settings.columns;
        let text = |name: &str| {
            self.present(name)
                .map(|raw| unquoted(raw, name))
                .transpose()
        };
        let optional = |name: &Option<String>| match name {
            Some(name) => text(name),
            None => Ok(None),
        };
        let route = text(&columns.route_by)?.ok_or(InvalidRow::NoRoute)?;
        let time = match &columns.timestamp {
            Some(name) => optional_time(text(name)?)?,
            None => None,
        };
        let mut placed = Vec::new();
        let mut partition_text = None;
        for placement in &settings.placement {
            let name = placement.column.as_str();
            let Some(raw) = self.raw(name) else {
                match settings.missing_placement {
                    MissingPlacement::Ignore => continue,
                    MissingPlacement::Error => {
                        return Err(InvalidRow::MissingMember {
                            name: name.to_owned(),
                        });
                    }
                }
            };
            match placement.target {
                Target::Partition => partition_text = self.present(name),
                target @ (Target::Header | Target::Envelope) => placed.push(PlacedField {
                    target,
                    alias: &placement.alias,
                    field: field(raw, name)?,
                }),
            }
        }
        let row = Row {
            id: self.field(&columns.id)?,
            key: self.field(&columns.key)?,
            payload: self.payload(settings)?,
            media: Media::Json,
            event_type: text(&columns.event_type)?,
            time,
            headers: columns
                .headers
                .as_ref()
                .and_then(|name| self.present(name))
                .map(str::as_bytes),
            traceparent: optional(&columns.traceparent)?.map(bytes),
            tracestate: optional(&columns.tracestate)?.map(bytes),
            placed,
            partition: partition_text
                .map(|text| partition(text.as_bytes()))
                .transpose()?,
            schema_version: columns
                .schema_version
                .as_ref()
                .and_then(|name| self.present(name))
                .and_then(|text| number(text.as_bytes())),
            origin: Origin {
                source: SOURCE,
                schema_name: None,
            },
        };
        Ok((row, route))
    }

    fn payload(&self, settings: &OutboxSettings) -> Result<Field<'a>, InvalidRow> {
        let name = &settings.columns.payload;
        let Some(raw) = self.present(name) else {
            return Ok(Field {
                value: Value::Null,
                schema: &OPTIONAL_JSON,
            });
        };
        if settings.message_payload == MessagePayload::Unquoted && raw.starts_with('"') {
            return field(raw, name);
        }
        Ok(Field {
            value: Value::Document(Cow::Borrowed(raw.as_bytes())),
            schema: &OPTIONAL_JSON,
        })
    }
}

const NULL: Field<'static> = Field {
    value: Value::Null,
    schema: &OPTIONAL_STRING,
};

/// A member as a value of the type that JSON gives it.
fn field<'a>(raw: &'a str, name: &str) -> Result<Field<'a>, InvalidRow> {
    let (value, schema) = match raw.as_bytes() {
        b"null" => return Ok(NULL),
        b"true" => (Value::Boolean(true), &OPTIONAL_BOOLEAN),
        b"false" => (Value::Boolean(false), &OPTIONAL_BOOLEAN),
        [b'"', ..] => (Value::Text(bytes(unquoted(raw, name)?)), &OPTIONAL_STRING),
        [b'{' | b'[', ..] => (
            Value::Document(Cow::Borrowed(raw.as_bytes())),
            &OPTIONAL_JSON,
        ),
        _ => {
            let schema = if raw.parse::<i32>().is_ok() {
                &OPTIONAL_INT32
            } else if raw.parse::<i64>().is_ok() {
                &OPTIONAL_INT64
            } else {
                &OPTIONAL_DOUBLE
            };
            (Value::Number(Cow::Borrowed(raw)), schema)
        }
    };
    Ok(Field { value, schema })
}

/// What a string contains; anything else as it stands.
fn unquoted<'a>(raw: &'a str, name: &str) -> Result<Cow<'a, str>, InvalidRow> {
    let Some(inside) = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')) else {
        return Ok(Cow::Borrowed(raw));
    };
    if !inside.contains('\\') {
        return Ok(Cow::Borrowed(inside));
    }
    serde_json::from_str(raw)
        .map(Cow::Owned)
        .map_err(|_| InvalidRow::Unreadable {
            column: name.to_owned(),
        })
}

fn bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// A number of milliseconds or a timestamp.
fn optional_time(text: Option<Cow<'_, str>>) -> Result<Option<UnixMicros>, InvalidRow> {
    let Some(text) = text else {
        return Ok(None);
    };
    let time = match text.parse::<i64>() {
        Ok(millis) => millis.checked_mul(1000),
        Err(_) => parse_timestamp(&text),
    };
    let shown = || shown(text.as_bytes());
    let time = time.ok_or_else(|| InvalidRow::Timestamp { text: shown() })?;
    record_time(time, shown)?;
    Ok(Some(time))
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the outbox table's columns as members")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = SmallVec::new();
        while let Some(name) = map.next_key::<Name<'de>>()? {
            members.push((name.0, map.next_value()?));
        }
        Ok(Members(members))
    }
}

/// A name, borrowed unless it has escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
