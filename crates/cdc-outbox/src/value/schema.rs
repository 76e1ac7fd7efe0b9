//! Schemas of single values.

use std::borrow::Cow;

use crate::json::write_string;

/// A schema as `JsonConverter` writes it, without its closing brace: a field's name may follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SchemaText(Cow<'static, [u8]>);

pub(crate) static OPTIONAL_BOOLEAN: SchemaText =
    SchemaText::fixed(br#"{"type":"boolean","optional":true"#);
pub(crate) static OPTIONAL_INT32: SchemaText =
    SchemaText::fixed(br#"{"type":"int32","optional":true"#);
pub(crate) static OPTIONAL_INT64: SchemaText =
    SchemaText::fixed(br#"{"type":"int64","optional":true"#);
pub(crate) static OPTIONAL_DOUBLE: SchemaText =
    SchemaText::fixed(br#"{"type":"double","optional":true"#);
pub(crate) static OPTIONAL_STRING: SchemaText =
    SchemaText::fixed(br#"{"type":"string","optional":true"#);
pub(crate) static OPTIONAL_JSON: SchemaText = SchemaText::fixed(
    br#"{"type":"string","optional":true,"name":"io.debezium.data.Json","version":1"#,
);

impl SchemaText {
    const fn fixed(text: &'static [u8]) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// A schema that was written elsewhere.
    pub(crate) const fn written(text: Vec<u8>) -> Self {
        Self(Cow::Owned(text))
    }

    /// A schema of its own name.
    pub(super) fn new(schema_type: &str, is_optional: bool, behind: &str) -> Self {
        let text = format!("{{\"type\":{schema_type},\"optional\":{is_optional}{behind}");
        Self(Cow::Owned(text.into_bytes()))
    }

    /// Appends it as a whole.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
        out.push(b'}');
    }

    /// Appends it as that of a field of this name.
    pub(crate) fn write_field(&self, name: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
        out.extend_from_slice(b",\"field\":");
        write_string(name.as_bytes(), out);
        out.push(b'}');
    }
}
