//! A document, poured into its schema, as `JsonConverter` writes it.

use super::NotExpandable;
use super::schema::{Schema, StructSchema};
use crate::json::{Node, Object, write_string};
use crate::value::write_float;

/// Appends a value. One that does not fit its schema is [`NotExpandable`]; `out` is spoilt then.
pub(super) fn write_value(
    node: &Node<'_>,
    schema: &Schema<'_>,
    out: &mut Vec<u8>,
) -> Result<(), NotExpandable> {
    match (node, schema) {
        (Node::Null, _) if schema.is_optional() => out.extend_from_slice(b"null"),
        (Node::Boolean(value), Schema::Boolean) => {
            out.extend_from_slice(if *value { b"true" } else { b"false" });
        }
        (Node::Int(value), Schema::Int32) => out.extend_from_slice(value.to_string().as_bytes()),
        (Node::Long(value), Schema::Int64) => out.extend_from_slice(value.to_string().as_bytes()),
        (Node::Double(value), Schema::Float64) => write_float(*value, out),
        (Node::Text(text), Schema::Text) => write_string(text, out),
        (Node::Array(elements), Schema::Array(items)) => {
            out.push(b'[');
            for (at, element) in elements.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_value(element, items, out)?;
            }
            out.push(b']');
        }
        (Node::Object(object), Schema::Struct(schema)) => write_object(object, schema, out)?,
        _ => return Err(NotExpandable),
    }
    Ok(())
}

/// The schema's fields in its order; those that the object lacks are null, and what the schema lacks is lost.
fn write_object(
    object: &Object<'_>,
    schema: &StructSchema<'_>,
    out: &mut Vec<u8>,
) -> Result<(), NotExpandable> {
    out.push(b'{');
    for (at, (name, field)) in schema.fields.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_string(name, out);
        out.push(b':');
        match object.get(name) {
            Some(value) => write_value(value, field, out)?,
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b'}');
    Ok(())
}
