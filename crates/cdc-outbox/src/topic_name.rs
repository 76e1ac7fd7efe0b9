//! Names that Kafka takes for topics.

/// Kafka's limit for a topic's name, in bytes.
pub(crate) const LONGEST_NAME: usize = 249;

/// Whether Kafka takes this name for a topic.
#[must_use]
pub fn is_topic_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= LONGEST_NAME
        && name != "."
        && name != ".."
        && name.chars().all(is_topic_character)
}

pub(crate) fn is_topic_character(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-')
}

/// The name with `_` for what Kafka does not take. It may still be no name: too long, for example.
pub(crate) fn sanitized(name: &str) -> String {
    name.chars()
        .map(|letter| {
            if is_topic_character(letter) {
                letter
            } else {
                '_'
            }
        })
        .collect()
}
