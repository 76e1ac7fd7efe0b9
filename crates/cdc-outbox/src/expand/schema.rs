//! Schemas of Kafka Connect, as far as a JSON document has them.

use std::borrow::Cow;

use crate::json::write_string;

/// The schema of a value. All are optional, except those of objects that were merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Schema<'a> {
    Boolean,
    Int32,
    Int64,
    Float64,
    Text,
    /// What only nulls have.
    Bytes,
    Array(Box<Schema<'a>>),
    Struct(StructSchema<'a>),
}

/// The schema of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StructSchema<'a> {
    /// The path from the payload.
    pub(super) name: Option<Vec<u8>>,
    pub(super) fields: Vec<(Cow<'a, [u8]>, Schema<'a>)>,
    pub(super) is_optional: bool,
}

impl Schema<'_> {
    pub(super) const fn is_optional(&self) -> bool {
        match self {
            Self::Struct(schema) => schema.is_optional,
            _ => true,
        }
    }

    /// Appends it as `JsonConverter` writes it, without the closing brace: a field's name may follow.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let simple = match self {
            Self::Boolean => "boolean",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Float64 => "double",
            Self::Text => "string",
            Self::Bytes => "bytes",
            Self::Array(items) => {
                out.extend_from_slice(b"{\"type\":\"array\",\"items\":");
                items.write(out);
                out.extend_from_slice(b"},\"optional\":true");
                return;
            }
            Self::Struct(schema) => return schema.write(out),
        };
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(simple.as_bytes());
        out.extend_from_slice(b"\",\"optional\":true");
    }
}

impl StructSchema<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":\"struct\",\"fields\":[");
        for (at, (name, schema)) in self.fields.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            schema.write(out);
            out.extend_from_slice(b",\"field\":");
            write_string(name, out);
            out.push(b'}');
        }
        out.extend_from_slice(b"],\"optional\":");
        let optional: &[u8] = if self.is_optional { b"true" } else { b"false" };
        out.extend_from_slice(optional);
        if let Some(name) = &self.name {
            out.extend_from_slice(b",\"name\":");
            write_string(name, out);
        }
    }
}
