//! StandbyStatusUpdate: what this side tells the server.

use bytes::{BufMut, BytesMut};
use pg_lsn::Lsn;

use crate::copy::PgTimestamp;

/// Tells the server how far this side has got. Each position is the byte after the last one covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StandbyStatusUpdate {
    /// Received. Only shown in `pg_stat_replication`.
    pub(crate) written: Lsn,
    /// Durable here: the server forgets everything before, for ever.
    pub(crate) flushed: Lsn,
    /// Visible here. Only shown in `pg_stat_replication`, unless `synchronous_commit = remote_apply`.
    pub(crate) applied: Lsn,
    /// Now, by this side's clock.
    pub(crate) sent_at: PgTimestamp,
    /// Asks the server for a keepalive at once.
    pub(crate) reply_requested: bool,
}

impl StandbyStatusUpdate {
    /// Bytes that [`encode`](Self::encode) appends.
    pub(crate) const ENCODED: usize = 39;

    /// Appends the update to `output`, as a whole CopyData frame.
    pub(crate) fn encode(&self, output: &mut BytesMut) {
        output.reserve(Self::ENCODED);
        output.put_u8(b'd');
        // The length field counts itself and the body, not the tag.
        output.put_i32(38);
        output.put_u8(b'r');
        output.put_u64(self.written.get());
        output.put_u64(self.flushed.get());
        output.put_u64(self.applied.get());
        output.put_i64(self.sent_at.micros());
        output.put_u8(u8::from(self.reply_requested));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_one_whole_frame() {
        let mut output = BytesMut::new();
        StandbyStatusUpdate {
            written: Lsn::new(3),
            flushed: Lsn::new(1),
            applied: Lsn::new(2),
            sent_at: PgTimestamp::from_micros(-1),
            reply_requested: true,
        }
        .encode(&mut output);
        assert_eq!(
            &output[..],
            b"d\0\0\0\x26r\
              \0\0\0\0\0\0\0\x03\
              \0\0\0\0\0\0\0\x01\
              \0\0\0\0\0\0\0\x02\
              \xff\xff\xff\xff\xff\xff\xff\xff\
              \x01"
        );
        assert_eq!(output.len(), StandbyStatusUpdate::ENCODED);
    }
}
