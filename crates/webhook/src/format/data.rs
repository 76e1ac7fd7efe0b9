//! Reads an event's data, and writes JSON. Nothing is built of what is not asked for, and what is passed on stays as it
//! was written: numbers keep all their digits.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserializer as _, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The last moment with four digits for its year.
const LAST: Duration = Duration::from_secs(253_402_300_799);

/// What the bytes of an event are.
pub(super) enum Data<'a> {
    Nothing,
    Json(&'a RawValue),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl<'a> Data<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        if bytes.is_empty() {
            Self::Nothing
        } else if let Ok(json) = serde_json::from_slice(bytes) {
            Self::Json(json)
        } else {
            std::str::from_utf8(bytes).map_or(Self::Bytes(bytes), Self::Text)
        }
    }

    /// Appends `"data":…`, or `"data_base64":…` for what JSON cannot hold.
    pub(super) fn write_member(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nothing => out.extend_from_slice(b"\"data\":null"),
            Self::Json(json) => {
                out.extend_from_slice(b"\"data\":");
                out.extend_from_slice(json.get().as_bytes());
            }
            Self::Text(text) => write_member(out, "data", text),
            Self::Bytes(bytes) => write_member(out, "data_base64", &STANDARD.encode(bytes)),
        }
    }
}

/// A member of an object, or an element of an array; of members with the same name the last.
pub(super) fn member<'a>(json: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    serde_json::Deserializer::from_str(json.get())
        .deserialize_any(Step(name))
        .ok()
        .flatten()
}

/// A string's content, any other value as it is written; nothing for null.
pub(super) fn text(json: &RawValue) -> Option<Cow<'_, str>> {
    match json.get() {
        "null" => None,
        quoted if quoted.starts_with('"') => serde_json::from_str::<Name<'_>>(quoted)
            .ok()
            .map(|name| name.0),
        other => Some(other.into()),
    }
}

pub(super) fn write_string(out: &mut Vec<u8>, text: &str) {
    #[expect(
        clippy::expect_used,
        reason = "a string can be written, and a Vec takes everything"
    )]
    serde_json::to_writer(out, text).expect("writes to memory");
}

pub(super) fn write_member(out: &mut Vec<u8>, name: &str, text: &str) {
    write_string(out, name);
    out.push(b':');
    write_string(out, text);
}

/// For what is made of strings and lists only.
pub(super) fn to_json(value: &impl Serialize) -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "strings and lists can be written")]
    serde_json::to_vec(value).expect("writes to memory")
}

/// As RFC 3339 in UTC, with milliseconds.
pub(super) fn write_time(time: SystemTime) -> String {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .min(LAST);
    humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + since).to_string()
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

struct Step<'n>(&'n str);

impl<'de> Visitor<'de> for Step<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(Name(name)) = map.next_key()? {
            if name == self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let index: usize = self.0.parse().map_err(A::Error::custom)?;
        let mut found = None;
        let mut next = 0;
        while let Some(element) = list.next_element::<&RawValue>()? {
            if next == index {
                found = Some(element);
            }
            next += 1;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(json: &'a str, name: &str) -> Option<&'a str> {
        member(serde_json::from_str(json).unwrap(), name).map(RawValue::get)
    }

    #[test]
    fn finds_members_and_elements_as_they_are_written() {
        let json = r#" {"a" : 1.2300, "b\u0020c": [10, {"d":12345678901234567890123}], "a": 2 } "#;
        assert_eq!(found(json, "a"), Some("2"));
        assert_eq!(
            found(json, "b c"),
            Some(r#"[10, {"d":12345678901234567890123}]"#)
        );
        assert_eq!(found("[1, 2.0]", "1"), Some("2.0"));
        for (json, name) in [
            ("{}", "a"),
            ("[1]", "1"),
            ("[1]", "x"),
            ("1", "a"),
            (r#""abc""#, "0"),
            ("null", "a"),
        ] {
            assert_eq!(found(json, name), None, "{json} {name}");
        }
    }

    #[test]
    fn writes_times_that_no_calendar_has_as_the_nearest() {
        assert_eq!(
            write_time(SystemTime::UNIX_EPOCH + Duration::from_millis(1_614_265_330_250)),
            "2021-02-25T15:02:10.250Z"
        );
        assert_eq!(
            write_time(SystemTime::UNIX_EPOCH - Duration::from_secs(1)),
            "1970-01-01T00:00:00.000Z"
        );
        assert_eq!(
            write_time(SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40)),
            "9999-12-31T23:59:59.000Z"
        );
    }
}
