//! The template of topic names.

use std::fmt;
use std::str::FromStr;

use regex::Captures;

use crate::route_regex::RouteRegex;
use crate::topic_name::{LONGEST_NAME, is_topic_character};

/// A topic's name as Debezium's `route.topic.replacement`: text with `${name}` or `$1` for the groups of the route's
/// regular expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicTemplate {
    text: String,
    pieces: Vec<Piece>,
}

/// Not a template of topic names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a topic name: letters, digits, '.', '_' and '-', at most 249, with ${{routedByValue}} or another group \
     of route_regex in its place"
)]
pub struct InvalidTemplate(String);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// The name or the number of a group.
    Group(String),
}

impl TopicTemplate {
    /// The topic, if it is the same for every event.
    #[must_use]
    pub fn fixed(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The names and numbers of the groups that it uses.
    pub(super) fn groups(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Group(name) => Some(name.as_str()),
        })
    }

    /// Appends the name that the groups make.
    pub(super) fn expand(&self, groups: &Captures<'_>, out: &mut String) {
        for piece in &self.pieces {
            out.push_str(match piece {
                Piece::Text(text) => text,
                Piece::Group(group) => match group.parse() {
                    Ok(number) => groups.get(number),
                    Err(_) => groups.name(group),
                }
                .map_or("", |found| found.as_str()),
            });
        }
    }
}

impl FromStr for TopicTemplate {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, InvalidTemplate> {
        let refused = || InvalidTemplate(text.to_owned());
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (literal, reference) = rest.split_at(rest.find('$').unwrap_or(rest.len()));
            if !literal.chars().all(is_topic_character) {
                return Err(refused());
            }
            if !literal.is_empty() {
                pieces.push(Piece::Text(literal.to_owned()));
            }
            let Some(reference) = reference.strip_prefix('$') else {
                break;
            };
            let (group, after) = match reference.strip_prefix('{') {
                Some(named) => named.split_once('}').ok_or_else(refused)?,
                None => reference.split_at(
                    reference
                        .find(|letter: char| !letter.is_ascii_digit())
                        .unwrap_or(reference.len()),
                ),
            };
            if group.is_empty() {
                return Err(refused());
            }
            pieces.push(Piece::Group(group.to_owned()));
            rest = after;
        }
        let template = Self {
            text: text.to_owned(),
            pieces,
        };
        let literal: usize = template
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.len(),
                Piece::Group(_) => 0,
            })
            .sum();
        if template.pieces.is_empty() || literal > LONGEST_NAME || matches!(text, "." | "..") {
            return Err(refused());
        }
        Ok(template)
    }
}

impl fmt::Display for TopicTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Default for TopicTemplate {
    /// Debezium's: `outbox.event.${routedByValue}`.
    fn default() -> Self {
        Self {
            text: format!("outbox.event.${{{}}}", RouteRegex::DEFAULT_GROUP),
            pieces: vec![
                Piece::Text("outbox.event.".to_owned()),
                Piece::Group(RouteRegex::DEFAULT_GROUP.to_owned()),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_what_its_text_says() {
        let template = TopicTemplate::default();
        assert_eq!(template.to_string().parse(), Ok(template.clone()));
        assert_eq!(template.fixed(), None);
        assert_eq!(
            "events".parse::<TopicTemplate>().unwrap().fixed(),
            Some("events")
        );
    }

    #[test]
    fn reads_several_groups() {
        let template: TopicTemplate = "${a}.$1-x${b}".parse().unwrap();
        assert_eq!(template.groups().collect::<Vec<_>>(), ["a", "1", "b"]);
    }

    #[test]
    fn refuses_what_kafka_would_refuse() {
        for text in [
            "",
            ".",
            "..",
            "a b",
            "topic/${routedByValue}",
            "a$",
            "a${",
            "a${}",
            "${a}ü",
            &"x".repeat(250),
        ] {
            assert!(text.parse::<TopicTemplate>().is_err(), "{text:?} was taken");
        }
    }
}
