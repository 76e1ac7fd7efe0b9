//! What stands for a field of an event.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::FormatError;
use super::super::data::{Data, member, text, write_time};
use super::Event;

/// A placeholder that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlaceholder {
    /// Without its end.
    #[error("{{{{{text} has no }}}}")]
    Open {
        /// What follows the opening braces.
        text: String,
    },
    /// Not a field of an event.
    #[error("{{{{{name}}}}} is no field; there are id, type, timestamp, subject, data and data.…")]
    Unknown {
        /// What it names.
        name: String,
    },
}

/// A field, and whether an event may be without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placeholder {
    path: Path,
    optional: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Path {
    Id,
    Kind,
    Timestamp,
    Subject,
    /// Member after member; none is the data itself.
    Data(Vec<String>),
}

/// What an event has in a field.
pub(super) enum Field<'a> {
    Text(Cow<'a, str>),
    Json(&'a RawValue),
}

impl Placeholder {
    /// Reads what stands between the braces.
    pub(super) fn parse(inside: &str, closed: bool) -> Result<Self, InvalidPlaceholder> {
        if !closed {
            return Err(InvalidPlaceholder::Open {
                text: inside.to_owned(),
            });
        }
        let name = inside.trim();
        let (name, optional) = name
            .strip_suffix('?')
            .map_or((name, false), |name| (name, true));
        let path = match name {
            "id" => Path::Id,
            "type" => Path::Kind,
            "timestamp" => Path::Timestamp,
            "subject" => Path::Subject,
            "data" => Path::Data(Vec::new()),
            _ => match name
                .strip_prefix("data.")
                .map(|path| path.split('.').map(str::to_owned).collect::<Vec<_>>())
            {
                Some(path) if path.iter().all(|step| !step.is_empty()) => Path::Data(path),
                Some(_) | None => {
                    return Err(InvalidPlaceholder::Unknown {
                        name: name.to_owned(),
                    });
                }
            },
        };
        Ok(Self { path, optional })
    }

    /// The field; `None` if the event does not have it and need not.
    pub(super) fn find<'a>(&self, event: &Event<'a>) -> Result<Option<Field<'a>>, FormatError> {
        let message = event.message;
        let found = match &self.path {
            Path::Id => Some(Field::Text(message.id.into())),
            Path::Kind => Some(Field::Text(message.kind.into())),
            Path::Timestamp => Some(Field::Text(write_time(message.timestamp).into())),
            Path::Subject => message.subject.map(|subject| Field::Text(subject.into())),
            Path::Data(path) => match event.data {
                Data::Json(json) => path
                    .iter()
                    .try_fold(json, |json, step| member(json, step))
                    .filter(|json| json.get() != "null")
                    .map(Field::Json),
                Data::Nothing => None,
                Data::Text(_) | Data::Bytes(_) => return Err(FormatError::NotJson),
            },
        };
        match found {
            None if !self.optional => Err(FormatError::Missing {
                field: self.path.name(),
            }),
            found => Ok(found),
        }
    }

    /// The field as text; empty if the event does not have it and need not.
    pub(super) fn find_text<'a>(&self, event: &Event<'a>) -> Result<Cow<'a, str>, FormatError> {
        Ok(match self.find(event)? {
            Some(Field::Text(text)) => text,
            Some(Field::Json(json)) => text(json).unwrap_or_default(),
            None => Cow::default(),
        })
    }
}

impl Path {
    fn name(&self) -> String {
        match self {
            Self::Id => "id".to_owned(),
            Self::Kind => "type".to_owned(),
            Self::Timestamp => "timestamp".to_owned(),
            Self::Subject => "subject".to_owned(),
            Self::Data(path) => {
                let steps = std::iter::once("data").chain(path.iter().map(String::as_str));
                steps.collect::<Vec<_>>().join(".")
            }
        }
    }
}
