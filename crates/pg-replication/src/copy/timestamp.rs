//! PostgreSQL's clock on the wire.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Microseconds from the Unix epoch to PostgreSQL's, 2000-01-01 00:00:00 UTC.
const EPOCH_UNIX_MICROS: i64 = 946_684_800_000_000;

/// A point in time as PostgreSQL sends it: microseconds since 2000-01-01 00:00:00 UTC, the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PgTimestamp(i64);

impl PgTimestamp {
    /// Now, by this machine's clock.
    #[must_use]
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// From microseconds since 2000-01-01 UTC; negative before.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 2000-01-01 UTC; negative before.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Microseconds since 1970-01-01 UTC, capped at what an `i64` holds (year 294246).
    #[must_use]
    pub const fn to_unix_micros(self) -> i64 {
        self.0.saturating_add(EPOCH_UNIX_MICROS)
    }

    /// Microseconds from `earlier` to `self`; negative when `earlier` is later, as clocks of two
    /// machines may have it.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl From<SystemTime> for PgTimestamp {
    fn from(time: SystemTime) -> Self {
        let micros = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        let unix = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => micros(after),
            Err(before) => -micros(before.duration()),
        };
        Self(unix.saturating_sub(EPOCH_UNIX_MICROS))
    }
}

impl From<PgTimestamp> for SystemTime {
    /// Times before 1970, which no commit has, become 1970.
    fn from(time: PgTimestamp) -> Self {
        UNIX_EPOCH + Duration::from_micros(u64::try_from(time.to_unix_micros()).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_from_the_year_2000() {
        let epoch = UNIX_EPOCH + Duration::from_secs(946_684_800);
        assert_eq!(PgTimestamp::from(epoch).micros(), 0);
        assert_eq!(
            PgTimestamp::from(epoch + Duration::from_micros(7)).micros(),
            7
        );
        assert_eq!(PgTimestamp::from(UNIX_EPOCH).to_unix_micros(), 0);
        let before_unix = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(PgTimestamp::from(before_unix).to_unix_micros(), -1_000_000);
    }

    #[test]
    fn keeps_extreme_values_in_range() {
        let (first, last) = (
            PgTimestamp::from_micros(i64::MIN),
            PgTimestamp::from_micros(i64::MAX),
        );
        assert_eq!(last.micros_since(first), i64::MAX);
        assert_eq!(first.micros_since(last), i64::MIN);
        assert_eq!(last.to_unix_micros(), i64::MAX);
    }
}
