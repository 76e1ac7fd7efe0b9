//! SQLSTATE codes.

use std::fmt;

/// A five-character error code of the SQL standard, as listed in PostgreSQL's Appendix A.
///
/// # Example
///
/// ```
/// use pg_replication::SqlState;
///
/// assert!(SqlState::INVALID_PASSWORD.is_class("28"));
/// assert_eq!(SqlState::OBJECT_IN_USE.to_string(), "55006");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SqlState([u8; 5]);

impl SqlState {
    /// `0A000`: the server cannot do this.
    pub const FEATURE_NOT_SUPPORTED: Self = Self(*b"0A000");
    /// `22023`: an option has a value that it does not allow.
    pub const INVALID_PARAMETER_VALUE: Self = Self(*b"22023");
    /// `28000`: `pg_hba.conf`, or the role, does not allow this session.
    pub const INVALID_AUTHORIZATION: Self = Self(*b"28000");
    /// `28P01`: wrong password.
    pub const INVALID_PASSWORD: Self = Self(*b"28P01");
    /// `3D000`: no such database.
    pub const INVALID_CATALOG_NAME: Self = Self(*b"3D000");
    /// `42501`: the role lacks a privilege.
    pub const INSUFFICIENT_PRIVILEGE: Self = Self(*b"42501");
    /// `42601`: syntax error, also the answer of a session that is not a replication session.
    pub const SYNTAX_ERROR: Self = Self(*b"42601");
    /// `42704`: no such object, among others no such slot or publication.
    pub const UNDEFINED_OBJECT: Self = Self(*b"42704");
    /// `42710`: the object, among others the slot, is there already.
    pub const DUPLICATE_OBJECT: Self = Self(*b"42710");
    /// `53300`: no connection slot or WAL sender is free.
    pub const TOO_MANY_CONNECTIONS: Self = Self(*b"53300");
    /// `55000`: the object is not in a state for this, among others `wal_level` below `logical` or a
    /// slot that lost its WAL.
    pub const OBJECT_NOT_IN_PREREQUISITE_STATE: Self = Self(*b"55000");
    /// `55006`: another session holds the object, among others the slot.
    pub const OBJECT_IN_USE: Self = Self(*b"55006");
    /// `57P01`: an administrator ended the session, or the server shuts down.
    pub const ADMIN_SHUTDOWN: Self = Self(*b"57P01");
    /// `57P02`: the server restarts after a crash of one of its processes.
    pub const CRASH_SHUTDOWN: Self = Self(*b"57P02");
    /// `57P03`: the server is starting up, shutting down or in recovery.
    pub const CANNOT_CONNECT_NOW: Self = Self(*b"57P03");
    /// `58P01`: a file is missing, among others a WAL segment that was removed.
    pub const UNDEFINED_FILE: Self = Self(*b"58P01");
    /// `XX000`: internal error; also stands for a report without a valid code.
    pub const INTERNAL_ERROR: Self = Self(*b"XX000");

    /// The code in `text`, which must be five digits or capital letters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let code: [u8; 5] = text.as_bytes().try_into().ok()?;
        let valid = code
            .iter()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
        valid.then_some(Self(code))
    }

    /// The five characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII gets in, so the fallback never shows.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Whether the code is of `class`, its first two characters.
    #[must_use]
    pub fn is_class(&self, class: &str) -> bool {
        class.len() == 2 && self.as_str().starts_with(class)
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_codes() {
        assert_eq!(SqlState::parse("55006"), Some(SqlState::OBJECT_IN_USE));
        for text in ["", "5500", "550066", "5500\u{e9}", "57p01", "57P0 "] {
            assert_eq!(SqlState::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_class_is_the_first_two_characters() {
        assert!(SqlState::ADMIN_SHUTDOWN.is_class("57"));
        assert!(!SqlState::ADMIN_SHUTDOWN.is_class("5"));
        assert!(!SqlState::ADMIN_SHUTDOWN.is_class("57P"));
        assert!(!SqlState::ADMIN_SHUTDOWN.is_class("28"));
    }
}
