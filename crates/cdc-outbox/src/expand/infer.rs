//! From a document to its schema.

use std::borrow::Cow;
use std::collections::HashMap;
use std::mem;

use super::schema::{Schema, StructSchema};
use super::{NotExpandable, Rules};
use crate::json::{Node, Object};
use crate::settings::{EmptyArrays, NullMembers};

/// The schema of a value; `None` for what has none and is dropped. `path` names the schemas of objects; what lies in an
/// array of an array has no path.
pub(super) fn infer<'a>(
    path: Option<&[u8]>,
    node: &'a Node<'_>,
    rules: Rules,
) -> Result<Option<Schema<'a>>, NotExpandable> {
    Ok(Some(match node {
        Node::Null => {
            return Ok(match rules.null_members {
                NullMembers::Ignore => None,
                NullMembers::OptionalBytes => Some(Schema::Bytes),
            });
        }
        Node::Boolean(_) => Schema::Boolean,
        Node::Int(_) => Schema::Int32,
        Node::Long(_) => Schema::Int64,
        Node::BigInteger | Node::Double(_) => Schema::Float64,
        Node::Text(_) => Schema::Text,
        Node::Array(elements) if elements.is_empty() => {
            return Ok(match rules.empty_arrays {
                EmptyArrays::Ignore => None,
                EmptyArrays::OptionalString => Some(Schema::Array(Box::new(Schema::Text))),
            });
        }
        Node::Array(elements) => Schema::Array(Box::new(infer_element(path, elements, rules)?)),
        Node::Object(object) => Schema::Struct(infer_object(path, object, rules)?),
    }))
}

fn infer_object<'a>(
    path: Option<&[u8]>,
    object: &'a Object<'_>,
    rules: Rules,
) -> Result<StructSchema<'a>, NotExpandable> {
    let mut fields = Vec::new();
    for (name, value) in object.iter() {
        let Some(schema) = infer(Some(&member_path(path, name)), value, rules)? else {
            continue;
        };
        // Kafka Connect has no field without a name.
        if name.is_empty() {
            return Err(NotExpandable);
        }
        fields.push((Cow::Borrowed(name), schema));
    }
    Ok(StructSchema {
        name: path.map(<[u8]>::to_vec),
        fields,
        is_optional: true,
    })
}

fn member_path(path: Option<&[u8]>, name: &[u8]) -> Vec<u8> {
    match path {
        Some(path) if !path.trim_ascii().is_empty() => [path, name].join(&b'.'),
        _ => name.to_vec(),
    }
}

fn infer_element<'a>(
    path: Option<&[u8]>,
    elements: &'a [Node<'_>],
    rules: Rules,
) -> Result<Schema<'a>, NotExpandable> {
    let mut present = elements.iter().filter(|element| **element != Node::Null);
    let first = present.next().unwrap_or(&Node::Null);
    if !present.all(|element| is_of_one_kind(first, element)) {
        return Err(NotExpandable);
    }
    if !matches!(first, Node::Object(_)) {
        return infer(None, first, rules)?.ok_or(NotExpandable);
    }
    let mut objects = elements.iter().filter_map(|element| match element {
        Node::Object(object) => Some(object),
        _ => None,
    });
    let first = infer_object(path, objects.next().ok_or(NotExpandable)?, rules)?;
    let mut union = Union::of(first.clone());
    for object in objects {
        let schema = infer_object(path, object, rules)?;
        if schema != first {
            union.add(schema);
        }
    }
    Ok(Schema::Struct(union.schema))
}

/// Elements of an array must be of one type, numbers of one width.
fn is_of_one_kind(first: &Node<'_>, other: &Node<'_>) -> bool {
    match (first, other) {
        (Node::BigInteger | Node::Double(_), Node::BigInteger | Node::Double(_)) => true,
        _ => mem::discriminant(first) == mem::discriminant(other),
    }
}

/// The fields of several objects. Of two schemas for a field the first one counts, unless only nulls have it.
///
/// Debezium goes through the schemas in an order that changes from run to run; here it is the elements' order.
struct Union<'a> {
    schema: StructSchema<'a>,
    /// Where each field stands.
    index: HashMap<Cow<'a, [u8]>, usize>,
}

impl<'a> Union<'a> {
    fn of(schema: StructSchema<'a>) -> Self {
        let names = schema.fields.iter().enumerate();
        Self {
            index: names.map(|(at, (name, _))| (name.clone(), at)).collect(),
            schema,
        }
    }

    fn add(&mut self, other: StructSchema<'a>) {
        // A quirk that consumers see: what was merged may not be null.
        self.schema.is_optional = false;
        for (name, field) in other.fields {
            match self.index.get(&name) {
                Some(&at) => {
                    let before = &mut self.schema.fields[at].1;
                    if *before == Schema::Bytes {
                        *before = field;
                    }
                }
                None => {
                    self.index.insert(name.clone(), self.schema.fields.len());
                    self.schema.fields.push((name, field));
                }
            }
        }
    }
}
