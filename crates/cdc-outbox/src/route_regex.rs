//! The regular expression that chooses a part of the routing value.

use std::fmt;
use std::str::FromStr;

use regex::{Captures, Regex};

/// A regular expression as Debezium's `route.topic.regex`, with groups named `(?<name>…)`.
///
/// It has neither look-around nor back-references: every value is matched in linear time.
#[derive(Debug, Clone)]
pub struct RouteRegex {
    text: String,
    /// The expression between the ends of the value.
    whole: Regex,
    /// The expression anywhere.
    part: Regex,
}

/// Not a regular expression that can be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{text:?} is not a regular expression; look-around and back-references are not supported")]
pub struct InvalidRegex {
    text: String,
    #[source]
    source: regex::Error,
}

/// Where the expression was found, and what its groups hold.
pub(super) struct Found<'a> {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) groups: Captures<'a>,
}

impl RouteRegex {
    /// The name of the group that Debezium's defaults use.
    pub(super) const DEFAULT_GROUP: &'static str = "routedByValue";

    /// Whether there is a group of this name or number.
    pub(super) fn has_group(&self, group: &str) -> bool {
        match group.parse::<usize>() {
            Ok(number) => number < self.part.captures_len(),
            Err(_) => self
                .part
                .capture_names()
                .flatten()
                .any(|name| name == group),
        }
    }

    /// The first place where the expression is found in a value that it matches as a whole.
    pub(super) fn find<'a>(&self, value: &'a str) -> Option<Found<'a>> {
        if !self.whole.is_match(value) {
            return None;
        }
        let groups = self.part.captures(value)?;
        let all = groups.get(0)?;
        Some(Found {
            start: all.start(),
            end: all.end(),
            groups,
        })
    }
}

impl FromStr for RouteRegex {
    type Err = InvalidRegex;

    fn from_str(text: &str) -> Result<Self, InvalidRegex> {
        let compile = |pattern: &str| {
            Regex::new(pattern).map_err(|source| InvalidRegex {
                text: text.to_owned(),
                source,
            })
        };
        // First by itself: in brackets, "a)(b" would pass.
        let part = compile(text)?;
        Ok(Self {
            whole: compile(&format!(r"\A(?:{text})\z"))?,
            part,
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for RouteRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Default for RouteRegex {
    /// Debezium's: the whole value.
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "a constant that a test compiles")]
        format!("(?<{}>.*)", Self::DEFAULT_GROUP)
            .parse()
            .expect("a valid expression")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_takes_the_whole_value() {
        let regex = RouteRegex::default();
        assert_eq!(regex.to_string(), "(?<routedByValue>.*)");
        let found = regex.find("a b").unwrap();
        assert_eq!((found.start, found.end), (0, 3));
        assert!(regex.find("two\nlines").is_none());
    }

    #[test]
    fn refuses_what_it_cannot_match_in_linear_time_and_what_is_no_expression() {
        for text in ["(", "(?<a", "a(?=b)", r"(a)\1", "a)(b", "*"] {
            assert!(text.parse::<RouteRegex>().is_err(), "{text:?} was taken");
        }
    }
}
