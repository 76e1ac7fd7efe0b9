//! How fast the log grows and the slot follows, from two looks at the slot.

use std::time::Duration;

use serde::Serialize;

use super::SlotState;

/// A slot that is no further behind than this follows.
const CLOSE: i64 = 16 << 20;

/// Rates between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Pace {
    /// Log that the whole server writes.
    pub(crate) wal_bytes_per_second: f64,
    /// Log that is confirmed by whoever streams from the slot.
    pub(crate) confirmed_bytes_per_second: f64,
    /// Until PostgreSQL drops log that the slot needs, if it writes on like this and the slot stays where it is;
    /// `None` without a limit, or while nothing is written.
    pub(crate) seconds_until_lost: Option<f64>,
    /// True when somebody streams and keeps up.
    pub(crate) follows: bool,
}

impl Pace {
    /// `now` was looked at `elapsed` after `before`.
    #[expect(clippy::cast_precision_loss, reason = "rates to look at")]
    pub(crate) fn between(before: &SlotState, now: &SlotState, elapsed: Duration) -> Self {
        let seconds = elapsed.as_secs_f64().max(f64::EPSILON);
        let rate = |bytes: i64| bytes.max(0) as f64 / seconds;
        let wal = rate(now.wal_end - before.wal_end);
        let confirmed = match (before.confirmed_end, now.confirmed_end) {
            (Some(before), Some(now)) => rate(now - before),
            _ => 0.0,
        };
        let safe = now.safe_bytes.filter(|_| wal > 0.0);
        Self {
            wal_bytes_per_second: wal,
            confirmed_bytes_per_second: confirmed,
            seconds_until_lost: safe.map(|safe| safe.max(0) as f64 / wal),
            follows: now.holder.is_some()
                && (confirmed > 0.0 || now.lag_bytes.is_some_and(|lag| lag < CLOSE)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Holder;

    fn slot(wal_end: i64, confirmed_end: i64, safe_bytes: Option<i64>) -> SlotState {
        SlotState {
            name: "s".to_owned(),
            plugin: None,
            kind: "logical".to_owned(),
            database: None,
            of_this_database: true,
            holder: None,
            confirmed_lsn: None,
            restart_lsn: None,
            lag_bytes: Some(wal_end - confirmed_end),
            retained_bytes: None,
            wal_status: None,
            safe_bytes,
            invalidation_reason: None,
            inactive_seconds: None,
            failover: None,
            synced: None,
            two_phase: false,
            confirmation_seconds: None,
            wal_end,
            confirmed_end: Some(confirmed_end),
        }
    }

    fn near(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-6
    }

    #[test]
    fn says_when_a_slot_that_stays_behind_is_lost() {
        let before = slot(1_000_000, 500_000, Some(9_000_000));
        let now = slot(3_000_000, 500_000, Some(7_000_000));
        let pace = Pace::between(&before, &now, Duration::from_secs(2));
        assert!(near(pace.wal_bytes_per_second, 1_000_000.0), "{pace:?}");
        assert!(
            pace.seconds_until_lost.is_some_and(|left| near(left, 7.0)),
            "{pace:?}"
        );
        assert!(!pace.follows, "nobody streams");
    }

    #[test]
    fn says_nothing_without_a_limit_or_without_writes() {
        let still = slot(1_000, 0, Some(1_000));
        let pace = Pace::between(&still, &still, Duration::from_secs(1));
        assert_eq!(pace.seconds_until_lost, None);
        let limitless = Pace::between(&still, &slot(2_000, 0, None), Duration::from_secs(1));
        assert_eq!(limitless.seconds_until_lost, None);
    }

    #[test]
    fn a_slot_follows_when_it_moves_or_is_close() {
        let held = |mut slot: SlotState| {
            slot.holder = Some(Holder {
                pid: 1,
                application_name: None,
                client_addr: None,
            });
            slot
        };
        let second = Duration::from_secs(1);
        let stuck = held(slot(100 << 20, 0, None));
        assert!(!Pace::between(&stuck, &stuck, second).follows);
        let moved = held(slot(100 << 20, 1 << 20, None));
        assert!(Pace::between(&stuck, &moved, second).follows);
        let close = held(slot(1 << 20, 0, None));
        assert!(Pace::between(&close, &close, second).follows);
    }
}
