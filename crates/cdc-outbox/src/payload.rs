//! The record's value.

use std::borrow::Cow;

use crate::PAYLOAD_MEMBER;
use crate::event::Notices;
use crate::expand::{Expanded, Rules, expand};
use crate::json::{minify, write_string};
use crate::row::{PlacedField, Row};
use crate::settings::{Converter, ExpandJson, OutboxSettings, Target};
use crate::value::schema::OPTIONAL_JSON;
use crate::value::{Field, SchemaText, Value, encode, write_described, write_json};

/// The payload, expanded if that was asked for and could be done.
enum Payload<'a> {
    /// A value of the payload column's own schema.
    Plain(Field<'a>),
    /// JSON with its schema.
    Expanded { schema: SchemaText, json: Vec<u8> },
    /// A text that lost its schema.
    WithoutSchema(Value<'a>),
}

/// The value of the record; `None` is Kafka's null.
pub(crate) fn value<'a>(
    settings: &OutboxSettings,
    route: &str,
    row: &mut Row<'a>,
    notices: &mut Notices,
) -> Option<Cow<'a, [u8]>> {
    let field = Field {
        value: std::mem::replace(&mut row.payload.value, Value::Null),
        schema: row.payload.schema,
    };
    let payload = expanded(settings, field, notices);
    if settings.tombstone_on_empty && payload.is_empty() {
        return None;
    }
    if has_envelope(row) {
        return Some(Cow::Owned(envelope(settings, route, row, payload)));
    }
    match (payload, settings.value_format) {
        (Payload::Plain(field), converter) => encode(field, converter),
        (Payload::Expanded { json, .. }, Converter::Plain | Converter::Json) => {
            Some(Cow::Owned(json))
        }
        (Payload::Expanded { schema, json }, Converter::JsonSchema) => {
            let mut out = Vec::with_capacity(json.len() + 256);
            out.extend_from_slice(b"{\"schema\":");
            schema.write(&mut out);
            out.extend_from_slice(b",\"payload\":");
            out.extend_from_slice(&json);
            out.push(b'}');
            Some(Cow::Owned(out))
        }
        (Payload::WithoutSchema(value), Converter::JsonSchema) => {
            let mut out = b"{\"schema\":null,\"payload\":".to_vec();
            write_json(&value, &mut out);
            out.push(b'}');
            Some(Cow::Owned(out))
        }
        (Payload::WithoutSchema(value), converter) => encode(
            Field {
                value,
                schema: &OPTIONAL_JSON,
            },
            converter,
        ),
    }
}

fn expanded<'a>(
    settings: &OutboxSettings,
    mut field: Field<'a>,
    notices: &mut Notices,
) -> Payload<'a> {
    let text = match &field.value {
        Value::Text(text) | Value::Document(text) => text,
        Value::Null => return Payload::Plain(field),
        _ => {
            notices.unexpanded = settings.expand_json != ExpandJson::Off;
            return Payload::Plain(field);
        }
    };
    match settings.expand_json {
        ExpandJson::Off => {}
        ExpandJson::Lossless => match minify(text) {
            Ok(json) => field.value = Value::Document(Cow::Owned(json)),
            Err(_) => notices.unexpanded = true,
        },
        ExpandJson::Debezium => {
            let rules = Rules {
                null_members: settings.null_members,
                empty_arrays: settings.empty_arrays,
            };
            match expand(text, &settings.columns.payload, rules) {
                Ok(Expanded::Document { schema, json }) => {
                    return Payload::Expanded {
                        schema: SchemaText::written(schema),
                        json,
                    };
                }
                Ok(Expanded::WithoutSchema) => return Payload::WithoutSchema(field.value),
                Err(_) => notices.unexpanded = true,
            }
        }
    }
    Payload::Plain(field)
}

impl Payload<'_> {
    /// Debezium's idea of empty: NULL or a text that Java's `trim` leaves nothing of. No bytes are not empty.
    fn is_empty(&self) -> bool {
        match self {
            Self::Plain(field) => match &field.value {
                Value::Null => true,
                Value::Text(text) => text.iter().all(|byte| *byte <= b' '),
                _ => false,
            },
            Self::Expanded { .. } | Self::WithoutSchema(_) => false,
        }
    }
}

fn has_envelope(row: &Row<'_>) -> bool {
    in_envelope(row).next().is_some()
}

fn in_envelope<'r, 'a>(row: &'r Row<'a>) -> impl Iterator<Item = &'r PlacedField<'a>> {
    row.placed
        .iter()
        .filter(|placed| placed.target == Target::Envelope)
}

/// An object of the payload and the columns that are placed beside it. It is JSON also if the format is plain.
fn envelope(
    settings: &OutboxSettings,
    route: &str,
    row: &Row<'_>,
    payload: Payload<'_>,
) -> Vec<u8> {
    let has_schema = settings.value_format == Converter::JsonSchema;
    // An envelope has no member without a schema.
    let payload = match payload {
        Payload::WithoutSchema(value) => Payload::Plain(Field {
            value,
            schema: row.payload.schema,
        }),
        payload => payload,
    };
    let mut out = Vec::new();
    if has_schema {
        out.extend_from_slice(b"{\"schema\":{\"type\":\"struct\",\"fields\":[");
        match &payload {
            Payload::Expanded { schema, .. } => schema.write_field(PAYLOAD_MEMBER, &mut out),
            Payload::Plain(_) | Payload::WithoutSchema(_) => {
                row.payload.schema.write_field(PAYLOAD_MEMBER, &mut out);
            }
        }
        for placed in in_envelope(row) {
            out.push(b',');
            placed.field.schema.write_field(placed.alias, &mut out);
        }
        out.extend_from_slice(b"],\"optional\":false,\"name\":");
        write_string(schema_name(row, route).as_bytes(), &mut out);
        if let Some(version) = row.schema_version {
            out.extend_from_slice(format!(",\"version\":{version}").as_bytes());
        }
        out.extend_from_slice(b"},\"payload\":");
    }
    let write = if has_schema {
        write_described
    } else {
        write_json
    };
    out.extend_from_slice(b"{\"payload\":");
    match &payload {
        Payload::Expanded { json, .. } => out.extend_from_slice(json),
        Payload::Plain(Field { value, .. }) | Payload::WithoutSchema(value) => {
            write(value, &mut out);
        }
    }
    for placed in in_envelope(row) {
        out.push(b',');
        write_string(placed.alias.as_bytes(), &mut out);
        out.push(b':');
        write(&placed.field.value, &mut out);
    }
    out.push(b'}');
    if has_schema {
        out.push(b'}');
    }
    out
}

fn schema_name(row: &Row<'_>, route: &str) -> String {
    match row.origin.schema_name {
        Some((before, after)) => format!("{before}.{route}.{after}"),
        None => route.to_owned(),
    }
}
