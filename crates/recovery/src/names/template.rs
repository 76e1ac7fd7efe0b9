//! Names of topics, made from a template.

use std::fmt;

/// The longest name of a topic that Kafka takes, in bytes.
const MAX_NAME_BYTES: usize = 249;

/// How dead letters of a group are called: `{topic}.{group}.DLT`, `{topic}-dlt`, …
///
/// `{topic}` stands for the source topic, `{group}` for the consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterTemplate(Template);

/// How retry topics of a group are called: `{topic}.{group}.retry-{n}`.
///
/// `{topic}` stands for the source topic, `{group}` for the consumer group, `{n}` for the tier, from 1. All three must
/// occur: records of one group must never reach another, and tiers must not mix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryTemplate(Template);

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// A placeholder that is not known here.
    #[error("{template:?} has the unknown placeholder {{{placeholder}}}; known are {known}")]
    UnknownPlaceholder {
        /// The template.
        template: String,
        /// What stands between the braces.
        placeholder: String,
        /// Those that may be used.
        known: &'static str,
    },
    /// A brace without its partner.
    #[error("{template:?} has a brace without its partner")]
    Unbalanced {
        /// The template.
        template: String,
    },
    /// A placeholder that is needed does not occur.
    #[error("{template:?} lacks {{{placeholder}}}: {reason}")]
    Lacks {
        /// The template.
        template: String,
        /// What is missing.
        placeholder: &'static str,
        /// Why it is needed.
        reason: &'static str,
    },
}

/// A name that no topic can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} cannot be the name of a topic: {reason}")]
pub struct InvalidTopicName {
    /// The name.
    pub name: String,
    /// Which rule of Kafka it breaks.
    pub reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Template {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Topic,
    Group,
    Tier,
}

impl DeadLetterTemplate {
    /// Takes a template.
    ///
    /// # Errors
    ///
    /// [`InvalidTemplate`] for another placeholder than `{topic}` and `{group}`, or a single brace.
    pub fn parse(text: &str) -> Result<Self, InvalidTemplate> {
        let template = Template::parse(text, "{topic} and {group}")?;
        if template.pieces.contains(&Piece::Tier) {
            return Err(InvalidTemplate::UnknownPlaceholder {
                template: text.to_owned(),
                placeholder: "n".to_owned(),
                known: "{topic} and {group}",
            });
        }
        Ok(Self(template))
    }

    /// The name for a source topic and a group.
    ///
    /// # Errors
    ///
    /// [`InvalidTopicName`] when it is none.
    pub fn name(&self, topic: &str, group: &str) -> Result<String, InvalidTopicName> {
        self.0.name(topic, group, 0)
    }
}

impl Default for DeadLetterTemplate {
    /// `{topic}.{group}.DLT`
    fn default() -> Self {
        Self(Template::of([
            Piece::Topic,
            Piece::dot(),
            Piece::Group,
            Piece::Text(".DLT".into()),
        ]))
    }
}

impl RetryTemplate {
    /// Takes a template.
    ///
    /// # Errors
    ///
    /// [`InvalidTemplate`] for another placeholder than `{topic}`, `{group}` and `{n}`, a missing one, or a single brace.
    pub fn parse(text: &str) -> Result<Self, InvalidTemplate> {
        let template = Template::parse(text, "{topic}, {group} and {n}")?;
        let needed = [
            (Piece::Topic, "topic", "records of several topics would mix"),
            (
                Piece::Group,
                "group",
                "another group would get records that it did not fail at",
            ),
            (
                Piece::Tier,
                "n",
                "a record would come back to the tier that it left",
            ),
        ];
        for (piece, placeholder, reason) in needed {
            if !template.pieces.contains(&piece) {
                return Err(InvalidTemplate::Lacks {
                    template: text.to_owned(),
                    placeholder,
                    reason,
                });
            }
        }
        Ok(Self(template))
    }

    /// The name for a source topic, a group and the number of a tier, from 1.
    ///
    /// # Errors
    ///
    /// [`InvalidTopicName`] when it is none.
    pub fn name(&self, topic: &str, group: &str, tier: u16) -> Result<String, InvalidTopicName> {
        self.0.name(topic, group, tier)
    }
}

impl Default for RetryTemplate {
    /// `{topic}.{group}.retry-{n}`
    fn default() -> Self {
        let retry = Piece::Text(".retry-".into());
        Self(Template::of([
            Piece::Topic,
            Piece::dot(),
            Piece::Group,
            retry,
            Piece::Tier,
        ]))
    }
}

impl fmt::Display for DeadLetterTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl fmt::Display for RetryTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl Piece {
    fn dot() -> Self {
        Self::Text(".".into())
    }
}

impl Template {
    fn of(pieces: impl IntoIterator<Item = Piece>) -> Self {
        let pieces: Vec<_> = pieces.into_iter().collect();
        let text = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.as_str(),
                Piece::Topic => "{topic}",
                Piece::Group => "{group}",
                Piece::Tier => "{n}",
            })
            .collect();
        Self { text, pieces }
    }

    fn parse(text: &str, known: &'static str) -> Result<Self, InvalidTemplate> {
        let unbalanced = || InvalidTemplate::Unbalanced {
            template: text.to_owned(),
        };
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let brace = rest.find(['{', '}']).unwrap_or(rest.len());
            let (plain, from_brace) = rest.split_at(brace);
            if !plain.is_empty() {
                pieces.push(Piece::Text(plain.to_owned()));
            }
            if from_brace.is_empty() {
                break;
            }
            let inside = from_brace.strip_prefix('{').ok_or_else(unbalanced)?;
            let (placeholder, after) = inside.split_once('}').ok_or_else(unbalanced)?;
            pieces.push(match placeholder {
                "topic" => Piece::Topic,
                "group" => Piece::Group,
                "n" => Piece::Tier,
                _ => {
                    return Err(InvalidTemplate::UnknownPlaceholder {
                        template: text.to_owned(),
                        placeholder: placeholder.to_owned(),
                        known,
                    });
                }
            });
            rest = after;
        }
        Ok(Self {
            text: text.to_owned(),
            pieces,
        })
    }

    fn name(&self, topic: &str, group: &str, tier: u16) -> Result<String, InvalidTopicName> {
        let mut name = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => name.push_str(text),
                Piece::Topic => name.push_str(topic),
                Piece::Group => name.push_str(group),
                Piece::Tier => name.push_str(&tier.to_string()),
            }
        }
        check(&name)?;
        Ok(name)
    }
}

/// Kafka's rules for the name of a topic.
pub(crate) fn check(name: &str) -> Result<(), InvalidTopicName> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let reason = if name.is_empty() {
        "it is empty"
    } else if name.len() > MAX_NAME_BYTES {
        "it is longer than 249 characters"
    } else if name == "." || name == ".." {
        "it is a directory's"
    } else if !name.bytes().all(is_legal) {
        "only ASCII letters and digits, '.', '_' and '-' are allowed"
    } else {
        return Ok(());
    };
    Err(InvalidTopicName {
        name: name.to_owned(),
        reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_the_usual_names() {
        for (template, expected) in [
            ("{topic}.{group}.DLT", "orders.billing.DLT"),
            ("{topic}.DLT", "orders.DLT"),
            ("{topic}-dlt", "orders-dlt"),
            ("{topic}-dlq", "orders-dlq"),
            ("dead", "dead"),
        ] {
            let template = DeadLetterTemplate::parse(template).unwrap();
            assert_eq!(template.name("orders", "billing").unwrap(), expected);
        }
        let retry = RetryTemplate::parse("{topic}.{group}.retry-{n}").unwrap();
        assert_eq!(
            retry.name("orders", "billing", 2).unwrap(),
            "orders.billing.retry-2"
        );
        assert_eq!(RetryTemplate::default(), retry);
        assert_eq!(
            DeadLetterTemplate::parse("{topic}.{group}.DLT").unwrap(),
            DeadLetterTemplate::default()
        );
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for text in ["{topics}.DLT", "{topic}.{n}", "{Topic}", "{}"] {
            let error = DeadLetterTemplate::parse(text).unwrap_err();
            assert!(
                matches!(error, InvalidTemplate::UnknownPlaceholder { .. }),
                "{text}: {error}"
            );
        }
        for text in ["{topic", "topic}", "a{", "{topic}}"] {
            let error = DeadLetterTemplate::parse(text).unwrap_err();
            assert!(
                matches!(error, InvalidTemplate::Unbalanced { .. }),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn refuses_a_retry_template_that_would_mix_records() {
        for text in [
            "{topic}-retry-{n}",
            "{group}.retry-{n}",
            "{topic}.{group}.retry",
        ] {
            let error = RetryTemplate::parse(text).unwrap_err();
            assert!(
                matches!(error, InvalidTemplate::Lacks { .. }),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn refuses_names_that_kafka_refuses() {
        let template = DeadLetterTemplate::parse("{topic}.DLT").unwrap();
        assert_eq!(template.name(&"x".repeat(245), "g").unwrap().len(), 249);
        assert!(template.name(&"x".repeat(246), "g").is_err());
        assert!(
            DeadLetterTemplate::parse("")
                .unwrap()
                .name("t", "g")
                .is_err()
        );
        for text in [".", "..", "a b", "ä", "a/b", "a:b"] {
            assert!(
                DeadLetterTemplate::parse(text)
                    .unwrap()
                    .name("t", "g")
                    .is_err(),
                "{text}"
            );
        }
    }
}
