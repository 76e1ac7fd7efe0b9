//! Recognises a server that shuts down and waits for us.
//!
//! In a fast shutdown a walsender sends all that is left, and then asks for a reply, again right after each of our
//! status updates, until the flushed position is exactly what it has sent. While the sink is stuck that does not
//! come, and the server would wait for ever, at full speed. In normal life it asks only when it has heard nothing
//! for half its `wal_sender_timeout`.

use std::time::Duration;

use pg_lsn::Lsn;
use tokio::time::Instant;

use crate::error::Error;

/// How long a server that shuts down may wait for us.
const PATIENCE: Duration = Duration::from_secs(2);

/// Requests further apart than this are not of one series. Many times the pace at which they are answered.
const GAP: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct ServerStop {
    gap: Duration,
    series: Option<Series>,
}

/// Requests with nothing else of the server between.
#[derive(Debug, Clone, Copy)]
struct Series {
    first: Instant,
    last: Instant,
}

impl ServerStop {
    /// `server_timeout` is the server's `wal_sender_timeout`, if it has one.
    pub(super) fn new(server_timeout: Option<Duration>) -> Self {
        Self {
            gap: server_timeout.map_or(GAP, |limit| GAP.min(limit / 4)),
            series: None,
        }
    }

    /// The server has sent a part of the stream: it does not wait for us.
    pub(super) fn goes_on(&mut self) {
        self.series = None;
    }

    /// The server has sent everything before `end` and asks for a reply.
    pub(super) fn waits(&mut self, now: Instant, confirmed: Lsn, end: Lsn) -> Result<(), Error> {
        if confirmed >= end {
            self.series = None;
            return Ok(());
        }
        let first = match self.series {
            Some(series) if now - series.last <= self.gap => series.first,
            _ => now,
        };
        self.series = Some(Series { first, last: now });
        if now - first >= PATIENCE {
            return Err(Error::ServerStopping);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(50);
    const END: Lsn = Lsn::new(9);

    /// Asks every `step` for as long as it is not given up, at most `times`; how long that took.
    fn ask(stop: &mut ServerStop, start: Instant, step: Duration, times: u32) -> Option<Duration> {
        (0..times)
            .map(|count| step * count)
            .find(|&after| stop.waits(start + after, Lsn::ZERO, END).is_err())
    }

    #[test]
    fn gives_up_after_two_seconds_of_requests() {
        let mut stop = ServerStop::new(None);
        assert_eq!(ask(&mut stop, Instant::now(), STEP, 100), Some(PATIENCE));
    }

    #[test]
    fn changes_between_the_requests_mean_that_the_server_goes_on() {
        let mut stop = ServerStop::new(None);
        let start = Instant::now();
        assert_eq!(ask(&mut stop, start, STEP, 40), None);
        stop.goes_on();
        assert_eq!(ask(&mut stop, start + PATIENCE, STEP, 40), None);
    }

    #[test]
    fn nothing_left_to_confirm_is_nothing_to_wait_for() {
        let mut stop = ServerStop::new(None);
        let start = Instant::now();
        for count in 0..100 {
            assert!(stop.waits(start + STEP * count, END, END).is_ok());
        }
    }

    /// A server asks twice within its timeout, if we are so slow.
    #[test]
    fn the_requests_of_normal_life_are_no_series() {
        for timeout in [60, 10, 1] {
            let timeout = Duration::from_secs(timeout);
            let mut stop = ServerStop::new(Some(timeout));
            assert_eq!(ask(&mut stop, Instant::now(), timeout / 2, 100), None);
        }
    }
}
