//! Values with a unit: durations and sizes.

mod empty;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

pub(super) use self::empty::{optional, span_or_never, texts};

/// A length of time, written with its unit: `"500ms"`, `"10s"`, `"1m 30s"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(Duration);

/// A number of bytes, written with its unit: `"64KiB"`, `"16MiB"`, `"1GB"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(u64);

impl Span {
    /// The duration.
    pub(crate) const fn get(self) -> Duration {
        self.0
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl Size {
    /// The number of bytes; on a 32-bit machine at most what it can address.
    pub(crate) fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        humantime::parse_duration(text).map(Self).map_err(|error| {
            let hint = text.trim();
            if !hint.is_empty()
                && hint
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte == b'.')
            {
                format!("{hint:?} has no unit: write \"{hint}s\" or \"{hint}ms\"")
            } else {
                format!(
                    "{hint:?} is not a duration such as \"500ms\", \"10s\" or \"1m 30s\" ({error})"
                )
            }
        })
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hint = text.trim();
        if !hint.is_empty() && hint.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!(
                "{hint:?} has no unit: write \"{hint}B\" or, say, \"{hint}KiB\""
            ));
        }
        bytesize::ByteSize::from_str(hint)
            .map(|size| Self(size.as_u64()))
            .map_err(|_| format!("{hint:?} is not a size such as \"64KiB\" or \"16MiB\""))
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl fmt::Debug for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bytesize::ByteSize(self.0).fmt(f)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WithUnit {
            what: "a duration such as \"10s\"",
            parse: Self::from_str,
        })
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WithUnit {
            what: "a size such as \"1MiB\"",
            parse: Self::from_str,
        })
    }
}

/// Deserialises any type that is written as text, with the error of its `FromStr`.
pub(super) fn text<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: fmt::Display,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(de::Error::custom)
}

/// Takes text; answers a bare number with what to write instead.
struct WithUnit<T> {
    what: &'static str,
    parse: fn(&str) -> Result<T, String>,
}

impl<T> Visitor<'_> for WithUnit<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        (self.parse)(&number.to_string()).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        (self.parse)(&number.to_string()).map_err(E::custom)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        (self.parse)(&number.to_string()).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(
            "500ms".parse::<Span>().unwrap().get(),
            Duration::from_millis(500)
        );
        assert_eq!(
            "1m 30s".parse::<Span>().unwrap().get(),
            Duration::from_secs(90)
        );
        let error = "30".parse::<Span>().unwrap_err();
        assert!(error.contains("\"30s\""), "{error}");
        for text in ["", "ten", "-5s", "5 parsecs"] {
            assert!(text.parse::<Span>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn sizes_need_a_unit() {
        assert_eq!("1MiB".parse::<Size>().unwrap().bytes(), 1 << 20);
        assert_eq!("1MB".parse::<Size>().unwrap().bytes(), 1_000_000);
        let error = "1024".parse::<Size>().unwrap_err();
        assert!(error.contains("no unit"), "{error}");
        for text in ["", "big", "-1MiB"] {
            assert!(text.parse::<Size>().is_err(), "{text:?} was taken");
        }
    }
}
