//! When a receiver wants to be asked again.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};

/// No receiver may put an event off for longer.
pub(crate) const CAP: Duration = Duration::from_secs(24 * 3600);

/// `Retry-After` as seconds (fractions are in use too) or as a date, at most [`CAP`]; a date that has passed is zero.
/// What cannot be read counts as not there.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if text.starts_with(|first: char| first.is_ascii_digit()) {
        let seconds: f64 = text.parse().ok()?;
        Duration::from_secs_f64(seconds.min(CAP.as_secs_f64()))
    } else {
        httpdate::parse_http_date(text)
            .ok()?
            .duration_since(now)
            .unwrap_or_default()
    };
    Some(wait.min(CAP))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<Duration> {
        // 2015-10-21 07:28:00 UTC
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_445_412_480);
        let headers =
            HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_str(text).ok()?)]);
        retry_after(&headers, now)
    }

    #[test]
    fn reads_seconds_and_dates() {
        let seconds = |seconds| Some(Duration::from_secs_f64(seconds));
        assert_eq!(read("120"), seconds(120.0));
        assert_eq!(read("0"), seconds(0.0));
        assert_eq!(read(" 0.25 "), seconds(0.25));
        assert_eq!(read("Wed, 21 Oct 2015 07:30:00 GMT"), seconds(120.0));
        assert_eq!(read("Wed, 21 Oct 2015 07:27:00 GMT"), seconds(0.0));
    }

    #[test]
    fn caps_what_is_absurd() {
        for text in [
            "86401",
            "1e300",
            "99999999999999999999999999",
            "Fri, 31 Dec 9999 23:59:59 GMT",
        ] {
            assert_eq!(read(text), Some(CAP), "{text}");
        }
    }

    #[test]
    fn passes_over_what_cannot_be_read() {
        for text in ["", "-1", "soon", "inf", "NaN", "1 minute", "12:00"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_never_exceeds_the_cap(text in "\\PC{0,40}|[0-9.e]{1,20}") {
            prop_assert!(read(&text).is_none_or(|wait| wait <= CAP));
        }
    }
}
