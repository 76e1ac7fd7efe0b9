//! A format of the user's own: JSON with placeholders.

mod placeholder;

use serde_json::Value;

pub use self::placeholder::InvalidPlaceholder;
use self::placeholder::{Field, Placeholder};
use super::FormatError;
use super::data::{Data, write_string};
use crate::message::Message;

const MAX_TEMPLATE_BYTES: usize = 64 * 1024;
/// Each is looked for in the data by itself.
const MAX_PLACEHOLDERS: usize = 256;
const MAX_RENDERED_BYTES: usize = 1024 * 1024;

/// JSON whose strings may hold placeholders: `{{id}}`, `{{type}}`, `{{timestamp}}`, `{{subject}}`, `{{data}}`, and parts of
/// the data as `{{data.author.name}}` or `{{data.tags.0}}`.
///
/// A string that is one placeholder becomes the value as it is, a number stays a number. Inside of a longer string a
/// value is written as text. Either way the result is valid JSON: an event cannot break out of its place. A field that an
/// event does not have, or that is null, is an error; with a question mark (`{{data.note?}}`) it is null or empty.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let template = webhook::Template::parse(r#"{"text": "{{data.author}}: {{data.title}}", "stars": "{{data.stars}}"}"#)?;
/// # let message = webhook::Message {
/// #     id: "1", kind: "post", timestamp: std::time::SystemTime::now(), source: "/", subject: None,
/// #     data: br#"{"author":"Ann","title":"\"Hi\"","stars":4.50}"#,
/// # };
/// assert_eq!(template.render(&message)?, br#"{"stars":4.50,"text":"Ann: \"Hi\""}"#);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    root: Node,
}

/// A template that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// No JSON.
    #[error("it is not JSON: {detail}")]
    NotJson {
        /// Where and why.
        detail: String,
    },
    /// A placeholder that cannot be read.
    #[error("a placeholder cannot be used")]
    Placeholder(#[source] InvalidPlaceholder),
    /// Too much of it.
    #[error("it has more than {MAX_TEMPLATE_BYTES} bytes or {MAX_PLACEHOLDERS} placeholders")]
    TooLarge,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    /// JSON that stays as it is.
    Fixed(String),
    /// A string that is one placeholder.
    Value(Placeholder),
    /// A string with placeholders in it.
    Text(Vec<Piece>),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Fixed(String),
    Field(Placeholder),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// [`InvalidTemplate`] for what is no JSON, has a placeholder that cannot be read, or is too large.
    pub fn parse(text: &str) -> Result<Self, InvalidTemplate> {
        if text.len() > MAX_TEMPLATE_BYTES {
            return Err(InvalidTemplate::TooLarge);
        }
        let value: Value =
            serde_json::from_str(text).map_err(|error| InvalidTemplate::NotJson {
                detail: error.to_string(),
            })?;
        let mut left = MAX_PLACEHOLDERS;
        Ok(Self {
            root: compile(value, &mut left)?,
        })
    }

    /// Fills it in.
    ///
    /// # Errors
    ///
    /// [`FormatError`] for a field that the event does not have, for data that is no JSON if fields of it are asked for, and
    /// for a result of more than 1 MiB.
    pub fn render(&self, message: &Message<'_>) -> Result<Vec<u8>, FormatError> {
        let event = Event {
            message,
            data: Data::of(message.data),
        };
        let mut out = Vec::with_capacity(512);
        self.root.write(&event, &mut out)?;
        Ok(out)
    }
}

/// A message with its data looked at once.
struct Event<'a> {
    message: &'a Message<'a>,
    data: Data<'a>,
}

fn compile(value: Value, left: &mut usize) -> Result<Node, InvalidTemplate> {
    Ok(match value {
        Value::String(text) => compile_string(&text, left)?,
        Value::Array(values) => Node::List(
            values
                .into_iter()
                .map(|value| compile(value, left))
                .collect::<Result<_, _>>()?,
        ),
        Value::Object(members) => Node::Object(
            members
                .into_iter()
                .map(|(name, value)| Ok((Value::String(name).to_string(), compile(value, left)?)))
                .collect::<Result<_, _>>()?,
        ),
        fixed @ (Value::Null | Value::Bool(_) | Value::Number(_)) => Node::Fixed(fixed.to_string()),
    })
}

fn compile_string(text: &str, left: &mut usize) -> Result<Node, InvalidTemplate> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (inside, behind) = after.split_once("}}").unwrap_or((after, ""));
        let closed = inside.len() < after.len();
        let placeholder =
            Placeholder::parse(inside, closed).map_err(InvalidTemplate::Placeholder)?;
        *left = left.checked_sub(1).ok_or(InvalidTemplate::TooLarge)?;
        if !before.is_empty() {
            pieces.push(Piece::Fixed(before.to_owned()));
        }
        pieces.push(Piece::Field(placeholder));
        rest = behind;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Fixed(rest.to_owned()));
    }
    Ok(match <[Piece; 1]>::try_from(pieces) {
        Ok([Piece::Field(placeholder)]) => Node::Value(placeholder),
        Ok([Piece::Fixed(text)]) => Node::Fixed(Value::String(text).to_string()),
        Err(pieces) => Node::Text(pieces),
    })
}

impl Node {
    fn write(&self, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), FormatError> {
        match self {
            Self::Fixed(json) => out.extend_from_slice(json.as_bytes()),
            Self::Value(placeholder) => match placeholder.find(event)? {
                Some(Field::Text(text)) => write_string(out, &text),
                Some(Field::Json(json)) => out.extend_from_slice(json.get().as_bytes()),
                None => out.extend_from_slice(b"null"),
            },
            Self::Text(pieces) => {
                let mut text = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Fixed(fixed) => text.push_str(fixed),
                        Piece::Field(placeholder) => text.push_str(&placeholder.find_text(event)?),
                    }
                    check_size(text.len())?;
                }
                write_string(out, &text);
            }
            Self::List(nodes) => {
                out.push(b'[');
                for (index, node) in nodes.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    node.write(event, out)?;
                }
                out.push(b']');
            }
            Self::Object(members) => {
                out.push(b'{');
                for (index, (name, node)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(name.as_bytes());
                    out.push(b':');
                    node.write(event, out)?;
                }
                out.push(b'}');
            }
        }
        check_size(out.len())
    }
}

const fn check_size(bytes: usize) -> Result<(), FormatError> {
    if bytes > MAX_RENDERED_BYTES {
        return Err(FormatError::TooLarge {
            limit: MAX_RENDERED_BYTES,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
