//! The template of topic names.

use std::fmt;
use std::str::FromStr;

const PLACEHOLDER: &str = "${routedByValue}";
/// Kafka's limit for a topic name, in bytes.
const LONGEST: usize = 249;

/// A topic name with at most one `${routedByValue}`, which stands for the value of the routing column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TopicTemplate {
    /// Every event goes to this topic.
    Fixed(String),
    /// The routed value between two texts.
    Routed {
        /// What stands before the value.
        before: String,
        /// What stands after the value.
        after: String,
    },
}

impl TopicTemplate {
    /// The topic for the value `routed` of the routing column. Kafka may not allow it as a name.
    pub(crate) fn topic_for(&self, routed: &str) -> String {
        match self {
            Self::Fixed(name) => name.clone(),
            Self::Routed { before, after } => [before, routed, after].concat(),
        }
    }

    /// The topic, when it is the same for every event.
    pub(crate) fn fixed(&self) -> Option<&str> {
        match self {
            Self::Fixed(name) => Some(name),
            Self::Routed { .. } => None,
        }
    }

    pub(crate) fn is_valid_topic(topic: &str) -> bool {
        !topic.is_empty()
            && topic.len() <= LONGEST
            && topic != "."
            && topic != ".."
            && topic.bytes().all(is_topic_byte)
    }
}

impl FromStr for TopicTemplate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let template = match text.split_once(PLACEHOLDER) {
            Some((before, after)) => Self::Routed {
                before: before.to_owned(),
                after: after.to_owned(),
            },
            None => Self::Fixed(text.to_owned()),
        };
        if Self::is_valid_topic(&template.topic_for("a")) {
            Ok(template)
        } else {
            Err(format!(
                "{text:?} is not a topic name: letters, digits, '.', '_' and '-', at most {LONGEST}, with \
                 {PLACEHOLDER} at most once"
            ))
        }
    }
}

impl fmt::Display for TopicTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(name) => f.write_str(name),
            Self::Routed { before, after } => write!(f, "{before}{PLACEHOLDER}{after}"),
        }
    }
}

fn is_topic_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(template: &str, routed: &str) -> String {
        template.parse::<TopicTemplate>().unwrap().topic_for(routed)
    }

    #[test]
    fn puts_the_routed_value_in_its_place() {
        assert_eq!(
            rendered("outbox.event.${routedByValue}", "Order"),
            "outbox.event.Order"
        );
        assert_eq!(rendered("${routedByValue}-events", "Order"), "Order-events");
        assert_eq!(rendered("events", "Order"), "events");
    }

    #[test]
    fn refuses_what_kafka_would_refuse() {
        for text in [
            "",
            "..",
            "a b",
            "topic/${routedByValue}",
            "${routedByValue}${routedByValue}",
            "${other}",
        ] {
            assert!(text.parse::<TopicTemplate>().is_err(), "{text:?} was taken");
        }
        assert!(!TopicTemplate::is_valid_topic(&"x".repeat(250)));
        assert!(!TopicTemplate::is_valid_topic("größe"));
    }
}
