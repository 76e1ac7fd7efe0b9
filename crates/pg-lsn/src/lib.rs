//! A PostgreSQL log sequence number (LSN): a byte position in the write-ahead log.
//!
//! A crate of its own because the replication client and the event language both speak of LSNs, and
//! neither may know the other.

use std::fmt;
use std::str::FromStr;

/// A byte position in the write-ahead log, printed as PostgreSQL prints it (`16/B374D848`).
///
/// Source: PostgreSQL documentation, "pg_lsn Type".
///
/// # Example
///
/// ```
/// use pg_lsn::Lsn;
///
/// let lsn: Lsn = "16/B374D848".parse().unwrap();
/// assert!(lsn > Lsn::ZERO);
/// assert_eq!(lsn.to_string(), "16/B374D848");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(u64);

impl Lsn {
    /// PostgreSQL's "no position" (`InvalidXLogRecPtr`).
    pub const ZERO: Self = Self(0);

    /// From the wire form, an unsigned 64-bit byte position.
    #[must_use]
    pub const fn new(position: u64) -> Self {
        Self(position)
    }

    /// The wire form, an unsigned 64-bit byte position.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Bytes of write-ahead log from `earlier` to `self`; 0 when `earlier` is not earlier.
    #[must_use]
    pub const fn bytes_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl fmt::Debug for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not two hexadecimal numbers of at most eight digits with a slash between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseLsnError(String);

impl fmt::Display for ParseLsnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not a log sequence number: {:?} (expected a form such as 16/B374D848)",
            self.0
        )
    }
}

impl std::error::Error for ParseLsnError {}

impl FromStr for Lsn {
    type Err = ParseLsnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let half = |digits: &str| {
            let hexadecimal = !digits.is_empty()
                && digits.len() <= 8
                && digits.bytes().all(|b| b.is_ascii_hexdigit());
            hexadecimal
                .then(|| u64::from_str_radix(digits, 16).ok())
                .flatten()
        };
        text.split_once('/')
            .and_then(|(high, low)| Some(Self(half(high)? << 32 | half(low)?)))
            .ok_or_else(|| ParseLsnError(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_parses_as_postgres_does() {
        for (text, position) in [
            ("0/0", 0),
            ("0/16B3748", 0x016B_3748),
            ("16/B374D848", 0x16_B374_D848),
            ("FFFFFFFF/FFFFFFFF", u64::MAX),
        ] {
            assert_eq!(text.parse::<Lsn>().unwrap(), Lsn::new(position));
            assert_eq!(Lsn::new(position).to_string(), text);
        }
    }

    #[test]
    fn orders_by_position_not_by_text() {
        let lsn = |text: &str| text.parse::<Lsn>().unwrap();
        assert!(lsn("9/0") < lsn("10/0"));
        assert!(lsn("0/FFFFFFFF") < lsn("1/0"));
    }

    #[test]
    fn refuses_what_is_not_an_lsn() {
        for text in [
            "",
            "/",
            "1",
            "1/",
            "/1",
            "+1/2",
            "1/-2",
            "g/1",
            "1/2/3",
            "123456789/0",
            " 1/2",
        ] {
            assert!(text.parse::<Lsn>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn distance_never_wraps() {
        assert_eq!(Lsn::new(10).bytes_since(Lsn::new(4)), 6);
        assert_eq!(Lsn::new(4).bytes_since(Lsn::new(10)), 0);
    }
}
