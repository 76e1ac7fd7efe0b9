//! Rows that are read from the outbox tables because the stream does not have them: those that were there before the
//! slot, or those that were lost with one.
//!
//! They come before the stream. How far they have been read is part of each checkpoint, so that a restart goes on where
//! it stopped. Where rows may also come by the stream, or are in Kafka already, ids are compared.

mod ids;
mod missing;
mod overlap;
mod reader;

use std::sync::Arc;

use outbox_scan::{ScanPlan, ScanPosition, Snapshot, TableName, View};
use pg_replication::pgoutput::{Relation, Xid};
use serde::{Deserialize, Serialize};

use self::ids::{EventKey, IdSet};
use self::missing::find_missing;
pub(super) use self::overlap::Overlap;
use self::overlap::Taken;
use self::reader::{Read, Reader};
use super::Relay;
use super::error::RelayError;
use super::outbound::{Mark, MarkKind, Outbound};
use super::pipeline::{Obstacle, Pipeline};

/// What is to be read, and how far that has come: a part of the checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Backfill {
    /// Whose rows; `None` before the slot is there.
    snapshot: Option<String>,
    /// Only rows whose `xmin` is not older.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<u32>,
    /// Only events that Kafka did not have at the beginning.
    only_missing: bool,
    /// Rows whose `xmin` is not older may come by the stream too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    streamed_from: Option<u32>,
    /// The last row that is in Kafka.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<ScanPosition>,
    /// All are; only what comes a second time by the stream is still to be passed over.
    read: bool,
}

/// Which rows are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All that the tables have.
    Everything,
    /// Those that Kafka does not have, as far as they are not older than the horizon.
    Missing { since: Option<Xid> },
}

impl Wanted {
    fn since(self) -> Option<Xid> {
        match self {
            Self::Everything => None,
            Self::Missing { since } => since,
        }
    }
}

/// A table that is being read.
#[derive(Debug)]
pub(super) struct TableBackfill {
    plan: Backfill,
    reader: Option<Reader>,
    /// Rows that have been read and not been sent.
    chunk: Option<Rows>,
    missing: Option<IdSet>,
    overlap: Option<Overlap>,
    sent: u64,
}

#[derive(Debug)]
struct Rows {
    relation: Arc<Relation>,
    rows: std::iter::Peekable<std::vec::IntoIter<outbox_scan::ScannedRow>>,
}

impl Backfill {
    /// Before the slot is there.
    pub(super) fn intended(wanted: Wanted) -> Self {
        Self {
            snapshot: None,
            since: wanted.since().map(|xid| xid.0),
            only_missing: wanted != Wanted::Everything,
            streamed_from: None,
            after: None,
            read: false,
        }
    }

    /// What was wanted, if the slot was not there yet.
    pub(super) fn intent(&self) -> Option<Wanted> {
        let wanted = if self.only_missing {
            Wanted::Missing {
                since: self.since.map(Xid),
            }
        } else {
            Wanted::Everything
        };
        self.snapshot.is_none().then_some(wanted)
    }

    fn scan(&self, relay: &Relay) -> Result<ScanPlan, RelayError> {
        let snapshot: Snapshot = self
            .snapshot
            .as_deref()
            .unwrap_or_default()
            .parse()
            .map_err(|source| RelayError::Backfill {
                source: outbox_scan::Error::UnreadableSnapshot { source },
            })?;
        Ok(ScanPlan {
            tables: tables(relay),
            view: View::AsOf(snapshot),
            since: self.since.map(Xid),
            after: self.after,
        })
    }
}

fn tables(relay: &Relay) -> Vec<TableName> {
    let tables = &relay.config.outbox.tables;
    tables
        .iter()
        .map(|table| TableName::new(table.schema(), table.name()))
        .collect()
}

impl TableBackfill {
    /// Begins to read. `exported` is the snapshot of a slot that was just made; without one, rows of `streamed_from` and
    /// younger transactions may come by the stream too.
    pub(super) async fn begin(
        relay: &Relay,
        wanted: Wanted,
        exported: Option<&str>,
        streamed_from: Option<Xid>,
    ) -> Result<Self, RelayError> {
        let since = wanted.since();
        // All scans must see the same rows, those of savepoints included: only the server can say which these are.
        let (_exporter, name) = match exported {
            Some(name) => (None, name.to_owned()),
            None => {
                let (exporter, name) = reader::export_snapshot(relay).await?;
                (Some(exporter), name)
            }
        };
        let view = View::Exported(name);
        let plan = ScanPlan {
            tables: tables(relay),
            view: view.clone(),
            since,
            after: None,
        };
        let reader = Reader::open(relay, plan).await?;
        let backfill = Backfill {
            snapshot: Some(reader.snapshot().to_string()),
            since: since.map(|xid| xid.0),
            only_missing: wanted != Wanted::Everything,
            streamed_from: streamed_from.map(|xid| xid.0),
            after: None,
            read: false,
        };
        Self::prepare(relay, backfill, Some(reader), Some(view)).await
    }

    /// Goes on where a checkpoint says.
    pub(super) async fn resume(relay: &Relay, plan: &Backfill) -> Result<Self, RelayError> {
        let reader = if plan.read {
            None
        } else {
            Some(Reader::open(relay, plan.scan(relay)?).await?)
        };
        Self::prepare(relay, plan.clone(), reader, None).await
    }

    async fn prepare(
        relay: &Relay,
        plan: Backfill,
        reader: Option<Reader>,
        view: Option<View>,
    ) -> Result<Self, RelayError> {
        let recorded = plan.scan(relay)?;
        let scan = ScanPlan {
            view: view.unwrap_or_else(|| recorded.view.clone()),
            ..recorded
        };
        let overlap = match plan.streamed_from {
            Some(from) => {
                let scan = ScanPlan {
                    since: Some(Xid(from)),
                    after: None,
                    ..scan.clone()
                };
                let taken = if plan.read {
                    Taken::All
                } else {
                    Taken::UpTo(plan.after)
                };
                Some(Overlap::find(relay, scan, taken).await?)
            }
            None => None,
        };
        let missing = if plan.only_missing && !plan.read {
            Some(find_missing(relay, scan).await?)
        } else {
            None
        };
        tracing::info!(
            missing = missing.as_ref().map(IdSet::len),
            resumed = plan.after.is_some(),
            "reading rows of the outbox tables before the stream"
        );
        Ok(Self {
            plan,
            reader,
            chunk: None,
            missing,
            overlap,
            sent: 0,
        })
    }

    /// As the checkpoint is to say it.
    pub(super) fn plan(&self) -> Backfill {
        self.plan.clone()
    }

    /// Sends rows that have been read, up to what is in the way; `one_by_one` is that too, while one is under way.
    pub(super) fn take(
        &mut self,
        pipeline: &mut Pipeline,
        outbound: &mut Outbound,
        one_by_one: bool,
    ) -> Result<Option<Obstacle>, RelayError> {
        let before = self.plan.after;
        let obstacle = self.send(pipeline, outbound, one_by_one)?;
        // A checkpoint may follow now, and must speak of each row that was sent.
        if self.plan.after != before {
            outbound.mark(Mark {
                kind: MarkKind::Backfill(Some(Arc::new(self.plan.clone()))),
                token: None,
            });
        }
        Ok(obstacle)
    }

    fn send(
        &mut self,
        pipeline: &mut Pipeline,
        outbound: &mut Outbound,
        one_by_one: bool,
    ) -> Result<Option<Obstacle>, RelayError> {
        let Some(chunk) = &mut self.chunk else {
            return Ok(None);
        };
        while let Some(row) = chunk.rows.peek() {
            if one_by_one && outbound.is_under_way() {
                return Ok(Some(Obstacle::OneByOne));
            }
            let wanted = match &self.missing {
                Some(missing) => {
                    let identity = pipeline.identify(&chunk.relation, &row.tuple)?;
                    identity.is_none_or(|identity| missing.has(EventKey::of(&identity.id)))
                }
                None => true,
            };
            if wanted {
                let obstacle = pipeline.backfill(&chunk.relation, &row.tuple, outbound)?;
                if obstacle.is_some() {
                    return Ok(obstacle);
                }
                self.sent += 1;
            }
            if let Some(overlap) = &mut self.overlap {
                overlap.took(&chunk.relation, row, pipeline)?;
            }
            self.plan.after = Some(row.position);
            chunk.rows.next();
        }
        self.chunk = None;
        Ok(None)
    }

    /// Goes on after a row that can't be sent, and has been dealt with otherwise.
    pub(super) fn pass_over(&mut self, pipeline: &mut Pipeline) -> Result<(), RelayError> {
        let Some(chunk) = &mut self.chunk else {
            return Ok(());
        };
        if let Some(row) = chunk.rows.next() {
            if let Some(overlap) = &mut self.overlap {
                overlap.took(&chunk.relation, &row, pipeline)?;
            }
            self.plan.after = Some(row.position);
        }
        Ok(())
    }

    /// The last row that was taken, in this session or an earlier one.
    pub(super) fn reached(&self) -> Option<ScanPosition> {
        self.plan.after
    }

    /// Waits for more rows; false when there are no more. To be called when those that were read are taken.
    ///
    /// Cancellation safe.
    pub(super) async fn read(&mut self) -> Result<bool, RelayError> {
        let Some(reader) = &mut self.reader else {
            return Ok(false);
        };
        match reader.next().await? {
            Read::Rows(chunk) => {
                self.chunk = Some(Rows {
                    relation: chunk.relation,
                    rows: chunk.rows.into_iter().peekable(),
                });
                Ok(true)
            }
            Read::End { log_end } => {
                self.reader = None;
                if let Some(overlap) = &mut self.overlap {
                    overlap.ends_at(log_end);
                }
                Ok(false)
            }
        }
    }

    /// Everything is read: what remains is to pass over what comes a second time by the stream.
    pub(super) fn finish(mut self, outbound: &mut Outbound) -> Option<Overlap> {
        tracing::info!(
            events = self.sent,
            "rows of the outbox tables are read; streaming"
        );
        self.plan.read = true;
        let rest = self.overlap.is_some().then(|| Arc::new(self.plan.clone()));
        outbound.mark(Mark {
            kind: MarkKind::Backfill(rest),
            token: None,
        });
        self.overlap
    }
}
