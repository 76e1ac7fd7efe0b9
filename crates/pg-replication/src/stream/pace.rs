//! How eagerly to read. The server's walsender sends each change by itself, and pays for a reader that wakes
//! at each of them: two fifths of its time. So with a backlog the reader naps after a small read and takes
//! much at once; when caught up it wakes at once, for latency.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::copy::PgTimestamp;
use crate::framed::READ_CHUNK;

/// A commit that is sent later than this is backlog.
const BEHIND: Duration = Duration::from_millis(50);

/// A read of less than this leaves the server ahead of us by little: worth a nap. Well below the read buffer, of which
/// the rest of the read before takes a part: otherwise reads that leave much behind would count as small.
const SMALL_READ: usize = READ_CHUNK / 8 * 5;

/// Of a nap. The longer it is, the less a row costs the server, and Kafka gets larger batches. But some 100 KB arrive in each
/// millisecond, and a server that finds the socket's buffer full has to wait.
const NAP_MILLIS: RangeInclusive<usize> = 2..=8;

/// Bytes of the socket's buffer for each millisecond: several times what arrives, since small packets take more of it than
/// their bytes.
const BUFFER_PER_MILLI: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Pace {
    nap: Duration,
    /// Of the transaction that is being read.
    commit_time: PgTimestamp,
    /// When the server sent what was read last. Its clock, as the commit time's: ours does not matter.
    sent_at: PgTimestamp,
    small_read: bool,
}

impl Pace {
    /// `receive_buffer` is in bytes.
    pub(super) fn new(receive_buffer: usize) -> Self {
        let millis =
            (receive_buffer / BUFFER_PER_MILLI).clamp(*NAP_MILLIS.start(), *NAP_MILLIS.end());
        Self {
            nap: Duration::from_millis(millis as u64),
            commit_time: PgTimestamp::default(),
            sent_at: PgTimestamp::default(),
            small_read: false,
        }
    }

    pub(super) fn begin(&mut self, commit_time: PgTimestamp) {
        self.commit_time = commit_time;
    }

    pub(super) fn sent(&mut self, at: PgTimestamp) {
        self.sent_at = at;
    }

    /// The server had nothing left to send.
    pub(super) fn caught_up(&mut self) {
        self.commit_time = self.sent_at;
    }

    pub(super) fn read(&mut self, bytes: usize) {
        self.small_read = bytes < SMALL_READ;
    }

    /// With a backlog, lets the server run ahead before the next read, by putting the thread to sleep for
    /// some milliseconds. A timer of the runtime would not do: it waits for the socket too, and so wakes at each
    /// message.
    #[expect(
        clippy::disallowed_methods,
        reason = "the wake-up is what must not happen; see above"
    )]
    pub(super) fn nap(&mut self) {
        if self.is_behind() && std::mem::take(&mut self.small_read) {
            std::thread::sleep(self.nap);
        }
    }

    pub(super) fn is_behind(&self) -> bool {
        let lag = self.sent_at.micros_since(self.commit_time);
        u64::try_from(lag).is_ok_and(|lag| Duration::from_micros(lag) > BEHIND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_that_fills_what_is_free_of_the_buffer_is_not_small() {
        let mut pace = Pace::new(0);
        let rest_of_the_read_before = 64 * 1024;
        pace.read(READ_CHUNK - rest_of_the_read_before);
        assert!(!pace.small_read);
        pace.read(READ_CHUNK / 2);
        assert!(pace.small_read);
    }

    #[test]
    fn naps_for_as_long_as_the_socket_can_take_what_comes() {
        let nap = |receive_buffer| Pace::new(receive_buffer).nap.as_millis();
        assert_eq!(nap(425_984), 2, "the most that many kernels give");
        assert_eq!(nap(5 << 20), 5);
        assert_eq!(nap(64 << 20), 8);
    }
}
