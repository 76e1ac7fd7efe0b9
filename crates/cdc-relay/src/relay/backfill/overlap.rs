//! Rows that were read from the table and come by the stream too.

use outbox_scan::{ScanPlan, Snapshot};
use pg_lsn::Lsn;
use pg_replication::pgoutput::Xid;

use super::ids::{EventKey, IdSet};
use super::reader::Reader;
use crate::relay::Relay;
use crate::relay::error::RelayError;

/// Ids that the stream is to pass over, until it is where the log ended when the last row had been read.
#[derive(Debug)]
pub(in crate::relay) struct Overlap {
    ids: IdSet,
    /// As of which the rows were read.
    snapshot: Snapshot,
    /// `None` until all rows are read.
    until: Option<Lsn>,
}

impl Overlap {
    /// The ids of the scan's rows.
    pub(super) async fn find(relay: &Relay, scan: ScanPlan) -> Result<Self, RelayError> {
        let mut ids = IdSet::default();
        let reader = Reader::open(relay, scan).await?;
        let snapshot = reader.snapshot().clone();
        let end = reader
            .for_each(relay, |identity| ids.insert(EventKey::of(&identity.id)))
            .await?;
        Ok(Self {
            ids,
            snapshot,
            until: Some(end),
        })
    }

    pub(super) fn ends_at(&mut self, log_end: Lsn) {
        self.until = self.until.max(Some(log_end));
    }

    /// Whether an event of the transaction has been sent as a row of its table. One that was running when the rows were
    /// read has not been, whatever its savepoints look like.
    pub(in crate::relay) fn has(&self, id: &[u8], xid: Xid) -> bool {
        self.snapshot.sees(xid) && self.ids.has(EventKey::of(id))
    }

    /// Whether what comes from `lsn` on was not there when the table was read.
    pub(in crate::relay) fn is_over(&self, lsn: Lsn) -> bool {
        self.until.is_some_and(|until| lsn >= until)
    }
}
