//! Which server this is, and of which version.

mod timeline_history;

use std::fmt;
use std::str::FromStr;

use pg_lsn::Lsn;

pub use self::timeline_history::{InvalidTimelineHistory, TimelineHistory, TimelineSwitch};

/// What IDENTIFY_SYSTEM answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemIdentity {
    /// The cluster: the same on a primary and its standbys, another one after `initdb`.
    pub system_id: SystemId,
    /// The timeline, which a failover counts up.
    pub timeline: TimelineId,
    /// How far the server has flushed its write-ahead log.
    pub flush_lsn: Lsn,
    /// The database of the session; `None` for physical replication.
    pub database: Option<String>,
}

/// The unique number of a database cluster (`system_identifier`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SystemId(u64);

/// A timeline of the write-ahead log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimelineId(u32);

/// A version of PostgreSQL as one number: `150018` is 15.18.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerVersion(u32);

/// The text is not a number of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a {what}: {text:?}")]
pub struct ParseIdentityError {
    what: &'static str,
    text: String,
}

impl ParseIdentityError {
    fn new(what: &'static str, text: &str) -> Self {
        Self {
            what,
            text: text.chars().take(64).collect(),
        }
    }
}

impl SystemId {
    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl TimelineId {
    /// The one that every cluster starts on.
    pub const FIRST: Self = Self(1);

    /// The number, from 1.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl ServerVersion {
    /// From `server_version_num`.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// As `server_version_num`.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The major version, such as 15.
    #[must_use]
    pub const fn major(self) -> u32 {
        self.0 / 10_000
    }
}

impl FromStr for SystemId {
    type Err = ParseIdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse()
            .map(Self)
            .map_err(|_| ParseIdentityError::new("system identifier", text))
    }
}

impl FromStr for TimelineId {
    type Err = ParseIdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse()
            .map(Self)
            .map_err(|_| ParseIdentityError::new("timeline", text))
    }
}

impl FromStr for ServerVersion {
    type Err = ParseIdentityError;

    /// From `server_version`: `15.18 (Debian 15.18-1)`, `18beta1`, `17.2`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || ParseIdentityError::new("server version", text);
        let digits = |text: &str| -> (Option<u32>, usize) {
            let end = text
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(text.len());
            (text[..end].parse().ok(), end)
        };
        let (major, end) = digits(text);
        let major = major
            .filter(|major| (1..1000).contains(major))
            .ok_or_else(refused)?;
        let minor = text[end..]
            .strip_prefix('.')
            .and_then(|rest| digits(rest).0)
            .unwrap_or(0);
        Ok(Self(major * 10_000 + minor.min(9999)))
    }
}

impl fmt::Display for SystemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for TimelineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major(), self.0 % 10_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_versions_that_servers_report() {
        for (text, number) in [
            ("15.18 (Debian 15.18-0+deb12u1)", 150_018),
            ("17.2", 170_002),
            ("18beta1", 180_000),
            ("16devel", 160_000),
        ] {
            let version: ServerVersion = text.parse().unwrap();
            assert_eq!(version, ServerVersion::new(number), "{text}");
        }
        assert_eq!("15.18".parse::<ServerVersion>().unwrap().major(), 15);
        for text in ["", "PostgreSQL 15", ".5", "99999999"] {
            assert!(text.parse::<ServerVersion>().is_err(), "{text}");
        }
    }

    #[test]
    fn takes_a_system_identifier_of_64_bits() {
        assert_eq!(
            "18446744073709551615".parse::<SystemId>().unwrap().get(),
            u64::MAX
        );
        assert!("-1".parse::<SystemId>().is_err());
    }
}
