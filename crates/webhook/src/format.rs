//! What a request says, in the words of its receiver.

mod card;
mod cloud_events;
mod data;
mod discord;
mod envelope;
mod fit;
mod jandi;
mod slack;
mod template;

use bytes::Bytes;
use http::HeaderValue;

pub use self::template::{InvalidPlaceholder, InvalidTemplate, Template};
use crate::message::Message;

const JSON: &str = "application/json";

/// How an endpoint wants to be told.
#[derive(Debug, Clone, Default)]
pub enum Format {
    /// `{"id","type","timestamp","subject","data"}`. Data that is no JSON is a string, or base64 in `data_base64`.
    #[default]
    Json,
    /// CloudEvents 1.0 in structured mode, so that the signature covers the attributes.
    CloudEvents,
    /// An incoming webhook of JANDI.
    Jandi,
    /// An incoming webhook of Slack, and of what understands the same.
    Slack,
    /// A webhook of Discord.
    Discord,
    /// Any other JSON.
    Template(Template),
}

/// A request's body, ready to be signed and sent. A copy shares the bytes.
#[derive(Debug, Clone)]
pub struct Body {
    /// The bytes.
    pub bytes: Bytes,
    content_type: HeaderValue,
    accept: Option<HeaderValue>,
}

/// A message that cannot be said in a format, now or later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The format takes fields out of the data, and the data is no JSON.
    #[error("the event's data is not JSON")]
    NotJson,
    /// A field of the template that the event does not have.
    #[error("the event has no {field:?}, which the template needs")]
    Missing {
        /// As the template has it.
        field: String,
    },
    /// A template that makes very much of little.
    #[error("the template makes more than {limit} bytes of the event")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
}

/// A name that is no format, or a template that is missing, not asked for, or wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFormat {
    /// Not one of the formats.
    #[error(
        "{name:?} is no format; there are json, cloudevents, jandi, slack, discord and template"
    )]
    Unknown {
        /// What was given.
        name: String,
    },
    /// `template` without one.
    #[error("the format template needs a template")]
    NoTemplate,
    /// A template for a format that has none.
    #[error("a template belongs to the format template, not to {name}")]
    NotATemplate {
        /// The format.
        name: String,
    },
    /// A template that cannot be used.
    #[error("the template cannot be used")]
    Template(#[source] InvalidTemplate),
}

impl Format {
    /// Reads the name of a format, and the template if it is `template`.
    ///
    /// # Errors
    ///
    /// [`InvalidFormat`].
    pub fn parse(name: &str, template: Option<&str>) -> Result<Self, InvalidFormat> {
        let format = match (name, template) {
            ("template", Some(text)) => {
                return Template::parse(text)
                    .map(Self::Template)
                    .map_err(InvalidFormat::Template);
            }
            ("template", None) => return Err(InvalidFormat::NoTemplate),
            ("json", _) => Self::Json,
            ("cloudevents", _) => Self::CloudEvents,
            ("jandi", _) => Self::Jandi,
            ("slack", _) => Self::Slack,
            ("discord", _) => Self::Discord,
            _ => {
                return Err(InvalidFormat::Unknown {
                    name: name.to_owned(),
                });
            }
        };
        match template {
            None => Ok(format),
            Some(_) => Err(InvalidFormat::NotATemplate {
                name: name.to_owned(),
            }),
        }
    }

    /// The name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::CloudEvents => "cloudevents",
            Self::Jandi => "jandi",
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Template(_) => "template",
        }
    }

    /// Says a message. The same message gives the same bytes every time.
    ///
    /// # Errors
    ///
    /// [`FormatError`]: it will be the same however often it is tried.
    pub fn body(&self, message: &Message<'_>) -> Result<Body, FormatError> {
        Ok(match self {
            Self::Json => Body::new(JSON, envelope::write(message)),
            Self::CloudEvents => {
                Body::new("application/cloudevents+json", cloud_events::write(message))
            }
            Self::Jandi => Body {
                accept: Some(HeaderValue::from_static(jandi::ACCEPT)),
                ..Body::new(JSON, jandi::write(message)?)
            },
            Self::Slack => Body::new(JSON, slack::write(message)?),
            Self::Discord => Body::new(JSON, discord::write(message)?),
            Self::Template(template) => Body::new(JSON, template.render(message)?),
        })
    }
}

impl Body {
    /// A body that is ready as it is.
    ///
    /// # Panics
    ///
    /// If the content type has characters that no header can have.
    #[must_use]
    pub fn new(content_type: &'static str, bytes: impl Into<Bytes>) -> Self {
        Self {
            bytes: bytes.into(),
            content_type: HeaderValue::from_static(content_type),
            accept: None,
        }
    }

    pub(crate) fn content_type(&self) -> HeaderValue {
        self.content_type.clone()
    }

    pub(crate) fn accept(&self) -> Option<HeaderValue> {
        self.accept.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_its_names() {
        for name in ["json", "cloudevents", "jandi", "slack", "discord"] {
            assert_eq!(Format::parse(name, None).unwrap().name(), name);
            assert!(matches!(
                Format::parse(name, Some("{}")),
                Err(InvalidFormat::NotATemplate { .. })
            ));
        }
        assert_eq!(
            Format::parse("template", Some("{}")).unwrap().name(),
            "template"
        );
    }

    #[test]
    fn refuses_what_is_no_format() {
        assert!(matches!(
            Format::parse("xml", None),
            Err(InvalidFormat::Unknown { .. })
        ));
        assert!(matches!(
            Format::parse("xml", Some("{}")),
            Err(InvalidFormat::Unknown { .. })
        ));
        assert_eq!(
            Format::parse("template", None).unwrap_err(),
            InvalidFormat::NoTemplate
        );
        assert!(matches!(
            Format::parse("template", Some("{")),
            Err(InvalidFormat::Template(_))
        ));
    }
}
