//! What a user is told about a mistake in the configuration.

use figment::error::Kind;

use super::Invalid;
use crate::error_code::ErrorCode;
use crate::failure::Failure;

const SEE_ALL: &str = "`cdc-relay config` shows every key with its value and origin";

/// The parser's message with its line, without the line's text, which may hold a secret.
pub(super) fn in_toml(error: &toml::de::Error, text: &str) -> String {
    let message = error.message().replace('\n', ", ");
    match error.span() {
        Some(span) => {
            let line = text
                .get(..span.start)
                .map_or(1, |before| before.matches('\n').count() + 1);
            format!("line {line}: {message}")
        }
        None => message,
    }
}

pub(super) fn unknown_key(key: &str, origin: &str, known: &[String]) -> Failure {
    let remedy = match nearest(key, known) {
        Some(near) => format!("did you mean `{near}`? {SEE_ALL}"),
        None => SEE_ALL.to_owned(),
    };
    Failure::new(
        ErrorCode::UnknownKey,
        format!("the configuration key `{key}` ({origin}) does not exist in this version"),
        remedy,
    )
}

pub(super) fn single_underscore(name: &str, right: &str) -> Failure {
    Failure::new(
        ErrorCode::UnknownKey,
        format!(
            "the environment variable {name} names no setting: section and key are separated by two underscores"
        ),
        format!("name it {right}"),
    )
}

pub(super) fn given_twice(key: &str, variable: &str, other: &str) -> Failure {
    Failure::new(
        ErrorCode::InvalidValue,
        format!("the setting `{key}` is given twice: by {variable} and by {other}"),
        "unset one of the two environment variables",
    )
}

pub(super) fn invalid_value(error: &figment::Error, origin: &str) -> Failure {
    let key = error.path.join(".");
    let secret = key.starts_with("postgres")
        || key == "notify.secret_keys"
        || key == "recover.alert.webhook"
        || key.starts_with("kafka.client")
        || key.starts_with("kafka.producer")
        || key.starts_with("kafka.consumer");
    let what = match &error.kind {
        Kind::InvalidType(_, expected) if secret => {
            format!("the value of `{key}` ({origin}) must be {expected}")
        }
        Kind::InvalidType(actual, expected) => {
            format!("the value of `{key}` ({origin}) must be {expected}, but is {actual}")
        }
        other => format!("the value of `{key}` ({origin}) is not allowed: {other}"),
    };
    Failure::new(
        ErrorCode::InvalidValue,
        what,
        "correct the value; config/default.toml documents every key",
    )
}

pub(super) fn missing(key: &str, must: &str, variable: &str) -> Failure {
    Failure::new(
        ErrorCode::MissingSetting,
        format!("the setting `{key}` has no default and was not given; it must {must}"),
        format!(
            "set `{key}` in the file given with --config, or the environment variable {variable}"
        ),
    )
}

pub(super) fn refused(invalid: &Invalid, origin: &str) -> Failure {
    let Invalid { key, constraint } = invalid;
    Failure::new(
        ErrorCode::InvalidValue,
        format!("the value of `{key}` ({origin}) is not allowed: it must {constraint}"),
        "correct the value; config/default.toml documents every key",
    )
}

/// The known key that looks most like `key`, if any looks like it at all.
fn nearest<'a>(key: &str, known: &'a [String]) -> Option<&'a str> {
    // A key in the wrong section is a likelier mistake than several wrong letters.
    let last = key.rsplit('.').next().unwrap_or(key);
    if let Some(same) = known
        .iter()
        .find(|candidate| candidate.rsplit('.').next() == Some(last))
    {
        return Some(same);
    }
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(key, candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_nearest_key() {
        let known: Vec<String> = [
            "relay.slot",
            "relay.publication",
            "admin.listen",
            "kafka.brokers",
        ]
        .map(str::to_owned)
        .into();
        assert_eq!(nearest("relay.slott", &known), Some("relay.slot"));
        assert_eq!(
            nearest("relay.publcation", &known),
            Some("relay.publication")
        );
        assert_eq!(nearest("kafka.slot", &known), Some("relay.slot"));
        assert_eq!(nearest("zzz.qqq", &known), None);
    }
}
