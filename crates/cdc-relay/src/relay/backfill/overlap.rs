//! Rows that were read from the table and come by the stream too.

use outbox_scan::{ScanPlan, ScanPosition, ScannedRow, Snapshot};
use pg_lsn::Lsn;
use pg_replication::pgoutput::{Relation, Xid};

use super::ids::{EventKey, IdSet};
use super::reader::Reader;
use crate::relay::Relay;
use crate::relay::error::RelayError;
use crate::relay::pipeline::Pipeline;

/// Ids that the stream is to pass over, until it is where the log ended when the last row had been read.
#[derive(Debug)]
pub(in crate::relay) struct Overlap {
    ids: IdSet,
    /// Of these, those whose rows have not been taken: if they never are, the stream has them alone.
    untaken: IdSet,
    /// As of which the rows were read.
    snapshot: Snapshot,
    /// `None` until all rows are read.
    until: Option<Lsn>,
}

/// How far the rows have been taken.
#[derive(Debug, Clone, Copy)]
pub(super) enum Taken {
    All,
    /// Up to this one, or none.
    UpTo(Option<ScanPosition>),
}

impl Overlap {
    /// The ids of the scan's rows; those behind `taken` are yet to be taken, or none if all have been.
    pub(super) async fn find(
        relay: &Relay,
        scan: ScanPlan,
        taken: Taken,
    ) -> Result<Self, RelayError> {
        // Before the ids: a table that is emptied between the two scans is not to look taken.
        let mut behind = IdSet::default();
        if let Taken::UpTo(after @ Some(_)) = taken {
            let scan = ScanPlan {
                after,
                ..scan.clone()
            };
            Reader::open(relay, scan)
                .await?
                .for_each(relay, |identity| behind.insert(EventKey::of(&identity.id)))
                .await?;
        }
        let mut ids = IdSet::default();
        let reader = Reader::open(relay, scan).await?;
        let snapshot = reader.snapshot().clone();
        let end = reader
            .for_each(relay, |identity| ids.insert(EventKey::of(&identity.id)))
            .await?;
        let untaken = match taken {
            Taken::UpTo(None) => ids.clone(),
            Taken::All | Taken::UpTo(Some(_)) => behind,
        };
        Ok(Self {
            ids,
            untaken,
            snapshot,
            until: Some(end),
        })
    }

    /// The row was sent, or dealt with otherwise.
    pub(super) fn took(
        &mut self,
        relation: &Relation,
        row: &ScannedRow,
        pipeline: &mut Pipeline,
    ) -> Result<(), RelayError> {
        if let Some(identity) = pipeline.identify(relation, &row.tuple)? {
            self.untaken.remove(EventKey::of(&identity.id));
        }
        Ok(())
    }

    pub(super) fn ends_at(&mut self, log_end: Lsn) {
        self.until = self.until.max(Some(log_end));
    }

    /// Whether an event of the transaction has been sent as a row of its table. One that was running when the rows were
    /// read has not been, whatever its savepoints look like.
    pub(in crate::relay) fn has(&self, id: &[u8], xid: Xid) -> bool {
        let id = EventKey::of(id);
        self.snapshot.sees(xid) && self.ids.has(id) && !self.untaken.has(id)
    }

    /// Whether what comes from `lsn` on was not there when the table was read.
    pub(in crate::relay) fn is_over(&self, lsn: Lsn) -> bool {
        self.until.is_some_and(|until| lsn >= until)
    }
}
