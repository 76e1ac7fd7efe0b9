//! How eagerly to read. The server's walsender sends each change by itself, and pays for a reader that wakes
//! at each of them: two fifths of its time. So with a backlog the reader naps after a small read and takes
//! much at once; when caught up it wakes at once, for latency.

use std::time::Duration;

use crate::copy::PgTimestamp;
use crate::framed::READ_CHUNK;

/// A commit that is sent later than this is backlog.
const BEHIND: Duration = Duration::from_millis(50);

/// A read of less than this leaves the server ahead of us by little: worth a nap. Well below the read buffer, of which
/// the rest of the read before takes a part: otherwise reads that leave much behind would count as small.
const SMALL_READ: usize = READ_CHUNK / 8 * 5;

/// At the rates seen, some 200 KB arrive meanwhile, well below the socket's buffer; and Kafka gets larger batches.
const NAP: Duration = Duration::from_millis(2);

#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Of the transaction that is being read.
    commit_time: PgTimestamp,
    /// When the server sent what was read last. Its clock, as the commit time's: ours does not matter.
    sent_at: PgTimestamp,
    small_read: bool,
}

impl Pace {
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
    /// two milliseconds. A timer of the runtime would not do: it waits for the socket too, and so wakes at each
    /// message.
    #[expect(
        clippy::disallowed_methods,
        reason = "the wake-up is what must not happen; see above"
    )]
    pub(super) fn nap(&mut self) {
        if self.is_behind() && std::mem::take(&mut self.small_read) {
            std::thread::sleep(NAP);
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
        let mut pace = Pace::default();
        let rest_of_the_read_before = 64 * 1024;
        pace.read(READ_CHUNK - rest_of_the_read_before);
        assert!(!pace.small_read);
        pace.read(READ_CHUNK / 2);
        assert!(pace.small_read);
    }
}
