//! A payload of JSON text as a structure with a schema, the way Debezium's `table.expand.json.payload` has it.
//!
//! Debezium derives a Kafka Connect schema from the document and pours the document into it. That drops and changes
//! things, and some documents do not fit the schema that was made for them: then its task fails. What fails there is
//! [`NotExpandable`] here, and the caller sends the text.

mod infer;
mod schema;
mod write;

use crate::json::{self, Node};
use crate::settings::{EmptyArrays, NullMembers};

use self::infer::infer;
use self::write::write_value;

/// What becomes of the things for which a schema has no type of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) null_members: NullMembers,
    pub(crate) empty_arrays: EmptyArrays,
}

/// A payload that was expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expanded {
    /// A document with its schema, both as JSON, the schema without its closing brace.
    Document { schema: Vec<u8>, json: Vec<u8> },
    /// An empty array has no schema: it stays a text, and loses the one it had.
    WithoutSchema,
}

/// Debezium cannot expand it, or fails over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotExpandable;

/// Expands a text; `name` is the payload column's, and names the schema.
pub(crate) fn expand(text: &[u8], name: &str, rules: Rules) -> Result<Expanded, NotExpandable> {
    if !text.starts_with(b"{") && !text.starts_with(b"[") {
        return Err(NotExpandable);
    }
    let document = json::parse(text).map_err(|_| NotExpandable)?;
    let Some(schema) = infer(Some(name.as_bytes()), &document, rules)? else {
        return Ok(Expanded::WithoutSchema);
    };
    // Debezium puts objects into schemas only, though it derives schemas for arrays too.
    if !matches!(document, Node::Object(_)) {
        return Err(NotExpandable);
    }
    let mut json = Vec::with_capacity(text.len());
    write_value(&document, &schema, &mut json)?;
    let mut schema_json = Vec::new();
    schema.write(&mut schema_json);
    Ok(Expanded::Document {
        schema: schema_json,
        json,
    })
}

#[cfg(test)]
mod tests;
