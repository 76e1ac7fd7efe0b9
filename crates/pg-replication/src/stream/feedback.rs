//! When a status update is due, and when silence means that the connection is dead. Pure: time is given.

use std::time::Duration;

use pg_lsn::Lsn;
use tokio::time::Instant;

use crate::error::Error;

/// Without `wal_sender_timeout` to go by, a status goes out this often.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Requests for a reply are answered at most this often: a server that shuts down asks again after each answer.
const REPLY_STEP: Duration = Duration::from_millis(50);

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
    /// Since when nobody reads.
    paused: Option<Instant>,
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
            paused: None,
        }
    }

    /// `Some(probe)` when a status must go out now; `probe` asks the server for an answer.
    pub(super) fn due(&self, now: Instant, confirmed: Lsn) -> Option<bool> {
        let moved = self.sent != Some(confirmed);
        let waited = now - self.sent_at;
        let probe = self.probe_due(now);
        let due = (self.reply_requested && waited >= REPLY_STEP)
            || probe
            || waited >= self.heartbeat
            || (moved && waited >= self.interval);
        due.then_some(probe)
    }

    fn probe_due(&self, now: Instant) -> bool {
        self.paused.is_none() && now - self.heard_at.max(self.probed_at) >= self.probe_step()
    }

    fn probe_step(&self) -> Duration {
        self.silence_limit / 3
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

    /// Nobody reads for now: silence says nothing. Gives since when that is so.
    pub(super) fn pause(&mut self, now: Instant) -> Instant {
        *self.paused.get_or_insert(now)
    }

    /// Reading goes on; silence counts from here.
    pub(super) fn resume(&mut self, now: Instant) {
        if self.paused.take().is_some() {
            self.heard(now);
        }
    }

    /// When something falls due if nothing happens before: a status, a probe, or the end of patience. In the
    /// future, once what was due has been [`sent`](Self::sent).
    pub(super) fn deadline(&self, confirmed: Lsn) -> Instant {
        let moved = self.sent != Some(confirmed);
        let wait = if moved { self.interval } else { self.heartbeat };
        let reply = if self.reply_requested {
            REPLY_STEP
        } else {
            wait
        };
        let status = self.sent_at + wait.min(reply);
        if self.paused.is_some() {
            return status;
        }
        let probe = self.heard_at.max(self.probed_at) + self.probe_step();
        status.min(probe).min(self.heard_at + self.silence_limit)
    }

    pub(super) fn check_silence(&mut self, now: Instant) -> Result<(), Error> {
        if self.paused.is_none() && now - self.heard_at >= self.silence_limit {
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn feedback(server_timeout: Option<Duration>, now: Instant) -> Feedback {
        Feedback::new(SECOND, server_timeout, 30 * SECOND, now)
    }

    #[test]
    fn a_moved_position_waits_for_the_interval() {
        let start = Instant::now();
        let mut feedback = feedback(None, start);
        let (old, new) = (Lsn::new(1), Lsn::new(2));
        feedback.sent(start, old);
        assert_eq!(feedback.due(start + SECOND / 2, new), None);
        assert_eq!(feedback.deadline(new), start + SECOND);
        assert_eq!(feedback.due(start + SECOND, new), Some(false));
    }

    #[test]
    fn without_news_the_server_hears_of_us_thrice_within_its_timeout() {
        let start = Instant::now();
        let mut feedback = feedback(Some(6 * SECOND), start);
        feedback.sent(start, Lsn::ZERO);
        assert_eq!(feedback.due(start + SECOND, Lsn::ZERO), None);
        assert_eq!(feedback.deadline(Lsn::ZERO), start + 2 * SECOND);
        assert_eq!(feedback.due(start + 2 * SECOND, Lsn::ZERO), Some(false));
    }

    #[test]
    fn a_reply_request_is_answered_soon() {
        let start = Instant::now();
        let mut feedback = feedback(None, start);
        feedback.sent(start, Lsn::ZERO);
        let later = start + SECOND / 10;
        feedback.reply_requested();
        assert_eq!(feedback.due(later, Lsn::ZERO), Some(false));
        feedback.sent(later, Lsn::ZERO);
        assert_eq!(feedback.due(later, Lsn::ZERO), None);
    }

    #[test]
    fn requests_without_end_are_answered_twenty_times_a_second() {
        let start = Instant::now();
        let mut feedback = feedback(None, start);
        let (mut now, mut answers) = (start, 0);
        while now <= start + SECOND {
            feedback.reply_requested();
            if feedback.due(now, Lsn::ZERO).is_some() {
                feedback.sent(now, Lsn::ZERO);
                answers += 1;
            } else {
                assert!(feedback.deadline(Lsn::ZERO) > now);
                assert!(feedback.deadline(Lsn::ZERO) <= now + REPLY_STEP);
            }
            now += SECOND / 1000;
        }
        assert_eq!(answers, 20);
    }

    #[test]
    fn silence_is_probed_and_then_an_error() {
        let start = Instant::now();
        let mut feedback = feedback(None, start);
        let later = start + 10 * SECOND;
        assert_eq!(feedback.due(later, Lsn::ZERO), Some(true));
        feedback.sent(later, Lsn::ZERO);
        assert_eq!(feedback.due(later, Lsn::ZERO), None);
        assert!(feedback.check_silence(start + 29 * SECOND).is_ok());
        assert!(matches!(
            feedback.check_silence(start + 30 * SECOND),
            Err(Error::Silent { .. })
        ));
    }

    #[test]
    fn silence_says_nothing_while_nobody_reads() {
        let start = Instant::now();
        let mut feedback = feedback(None, start);
        assert_eq!(feedback.pause(start), start);
        let much_later = start + 100 * SECOND;
        assert_eq!(feedback.pause(much_later), start);
        assert_eq!(feedback.due(much_later, Lsn::ZERO), Some(false));
        assert!(feedback.check_silence(much_later).is_ok());
        feedback.resume(much_later);
        assert!(feedback.check_silence(much_later + SECOND).is_ok());
    }

    /// A deadline that has passed would make the reader spin.
    #[test]
    fn the_next_deadline_is_never_in_the_past() {
        let start = Instant::now();
        let mut feedback = feedback(Some(60 * SECOND), start);
        let mut now = start;
        for step in 0_u32..400 {
            let confirmed = Lsn::new(u64::from(step / 7));
            if feedback.due(now, confirmed).is_some() {
                feedback.sent(now, confirmed);
            }
            if feedback.check_silence(now).is_err() {
                feedback.heard(now);
            }
            assert!(feedback.deadline(confirmed) > now, "step {step}");
            now += SECOND / 4;
        }
    }
}
