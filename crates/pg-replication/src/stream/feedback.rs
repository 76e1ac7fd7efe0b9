//! When a status update is due, and when silence means that the connection is dead. Pure: time is given.

use std::time::Duration;

use pg_lsn::Lsn;
use tokio::time::Instant;

use crate::error::Error;

/// Without `wal_sender_timeout` to go by, a status goes out this often.
const HEARTBEAT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Feedback {
    /// A moved position is told at most this often.
    interval: Duration,
    /// Even without news a status goes out this often.
    heartbeat: Duration,
    silence_limit: Duration,
    sent_at: Instant,
    sent: Option<Lsn>,
    heard_at: Instant,
    probed_at: Instant,
    reply_requested: bool,
    paused: bool,
}

impl Feedback {
    pub(super) fn new(
        interval: Duration,
        server_timeout: Option<Duration>,
        silence_limit: Duration,
        now: Instant,
    ) -> Self {
        let heartbeat = server_timeout.map_or(HEARTBEAT, |limit| (limit / 3).min(HEARTBEAT));
        Self {
            interval: interval.min(heartbeat),
            heartbeat,
            silence_limit,
            sent_at: now,
            sent: None,
            heard_at: now,
            probed_at: now,
            reply_requested: false,
            paused: false,
        }
    }

    /// `Some(probe)` when a status must go out now; `probe` asks the server for an answer.
    pub(super) fn due(&self, now: Instant, confirmed: Lsn) -> Option<bool> {
        let moved = self.sent != Some(confirmed);
        let waited = now - self.sent_at;
        let probe = self.probe_due(now);
        let due = self.reply_requested
            || probe
            || waited >= self.heartbeat
            || (moved && waited >= self.interval);
        due.then_some(probe)
    }

    fn probe_due(&self, now: Instant) -> bool {
        let step = self.silence_limit / 3;
        !self.paused && now - self.heard_at >= step && now - self.probed_at >= step
    }

    pub(super) fn sent(&mut self, now: Instant, confirmed: Lsn) {
        if self.probe_due(now) {
            self.probed_at = now;
        }
        self.sent_at = now;
        self.sent = Some(confirmed);
        self.reply_requested = false;
    }

    pub(super) fn reply_requested(&mut self) {
        self.reply_requested = true;
    }

    pub(super) fn heard(&mut self, now: Instant) {
        self.heard_at = now;
        self.probed_at = now;
    }

    /// Nobody reads for now: silence says nothing.
    pub(super) fn pause(&mut self) {
        self.paused = true;
    }

    /// Reading goes on; silence counts from here.
    pub(super) fn resume(&mut self, now: Instant) {
        if std::mem::take(&mut self.paused) {
            self.heard(now);
        }
    }

    /// When to look at [`due`](Self::due) and [`check_silence`](Self::check_silence) again. The interval is
    /// the finest grain: an acknowledgement between two looks goes out with the next one.
    pub(super) fn deadline(&self) -> Instant {
        self.sent_at + self.interval
    }

    pub(super) fn check_silence(&mut self, now: Instant) -> Result<(), Error> {
        if !self.paused && now - self.heard_at >= self.silence_limit {
            return Err(Error::Silent {
                limit: self.silence_limit,
            });
        }
        Ok(())
    }

    pub(super) fn silence_limit(&self) -> Duration {
        self.silence_limit
    }
}
