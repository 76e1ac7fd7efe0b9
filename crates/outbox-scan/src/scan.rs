//! Going through the tables.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;

use futures_core::Stream;
use pg_replication::pgoutput::{Relation, Tuple, Xid};
use pg_replication::{ConnectOptions, Error as PostgresError, SqlState};
use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow, SimpleQueryStream};

use crate::catalog::{self, Leaf};
use crate::error::Error;
use crate::plan::{ScanPlan, View};
use crate::position::{ScanPosition, Written};
use crate::query::{Filter, select};
use crate::session::ScanSession;
use crate::snapshot::Snapshot;

/// The bounds of a chunk, whichever comes first; the last row may go beyond the bytes.
const CHUNK_ROWS: usize = 1000;
const CHUNK_BYTES: usize = 1 << 20;

/// Columns before those of the table: place, transaction and command.
const OWN_COLUMNS: usize = 3;

/// Rows of one table, in the order in which their transactions began to write, and these wrote them.
#[derive(Debug)]
pub struct Chunk {
    /// Describes the rows. Its id is that of the table or partition that they are in, its name that of the plan's
    /// table, so that a partition's rows go where those of the whole table do. Unlike a streamed one it has no key.
    pub relation: Arc<Relation>,
    /// At least one, at most 1000, and about 1 MiB.
    pub rows: Vec<ScannedRow>,
}

/// A row, as the stream would have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannedRow {
    /// The values, of the chunk's relation.
    pub tuple: Tuple,
    /// The transaction that wrote it, or a subtransaction of that.
    pub xid: Xid,
    /// Where it is: a scan goes on behind it.
    pub position: ScanPosition,
}

/// A scan of tables, in a transaction of its own, which ends when this is dropped.
///
/// Meanwhile it holds an `ACCESS SHARE` lock on the table or partition that it reads, and keeps the server from removing
/// rows that are deleted.
pub struct TableScan {
    session: ScanSession,
    /// What the rows are as of.
    snapshot: Snapshot,
    filter: Filter,
    after: Option<ScanPosition>,
    waiting: VecDeque<Leaf>,
    reading: Option<Reading>,
    /// Rows of a chunk that is not full yet.
    rows: Vec<ScannedRow>,
    bytes: usize,
    /// Nothing may follow an error: it could pass for the end.
    failed: bool,
}

/// A table whose rows are coming. They come as fast as they are taken: the server waits meanwhile.
struct Reading {
    relation: Arc<Relation>,
    file: u32,
    answer: Pin<Box<SimpleQueryStream>>,
    ended: bool,
}

impl TableScan {
    /// Connects, opens a transaction with the plan's view and looks up the tables.
    ///
    /// # Errors
    ///
    /// [`Error::SnapshotGone`], [`Error::TableMissing`] and [`Error::NotATable`]; otherwise what PostgreSQL says.
    pub async fn open(options: &ConnectOptions, plan: ScanPlan) -> Result<Self, Error> {
        let session = ScanSession::open(options, &plan.view).await?;
        let (snapshot, seen_by) = match plan.view {
            View::Exported(_) => (session.own.clone(), None),
            View::AsOf(snapshot) => (snapshot.clone(), Some(snapshot)),
        };
        let filter = Filter::new(&session.own, seen_by, plan.since);
        let mut waiting = VecDeque::from(catalog::leaves(&session.client, &plan.tables).await?);
        catalog::prepare_locks(&session.client).await?;
        if let Some(after) = plan.after {
            waiting.retain(|leaf| leaf.relation >= after.relation());
        }
        Ok(Self {
            session,
            snapshot,
            filter,
            after: plan.after,
            waiting,
            reading: None,
            rows: Vec::new(),
            bytes: 0,
            failed: false,
        })
    }

    /// The snapshot whose rows are read. [`View::AsOf`] it, a later scan can go on.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The next rows; `None` after the last.
    ///
    /// Cancellation safe: what has come is in the next chunk.
    ///
    /// # Errors
    ///
    /// The scan is then over: every further call fails. See [`Error::disposition`].
    pub async fn next_chunk(&mut self) -> Result<Option<Chunk>, Error> {
        if self.failed {
            return Err(Error::Over);
        }
        let chunk = self.read().await;
        self.failed = chunk.is_err();
        chunk
    }

    async fn read(&mut self) -> Result<Option<Chunk>, Error> {
        loop {
            let Some(reading) = &mut self.reading else {
                let Some(leaf) = self.waiting.front() else {
                    return Ok(None);
                };
                self.reading = self.begin(leaf).await?;
                self.waiting.pop_front();
                continue;
            };
            let relation = Arc::clone(&reading.relation);
            if let Some(row) = reading.next_row(&self.filter).await? {
                self.bytes += row.tuple.wire_size();
                self.rows.push(row);
                if self.rows.len() < CHUNK_ROWS && self.bytes < CHUNK_BYTES {
                    continue;
                }
            } else {
                catalog::unlock(&self.session.client).await?;
                self.reading = None;
            }
            if !self.rows.is_empty() {
                self.bytes = 0;
                let rows = std::mem::take(&mut self.rows);
                return Ok(Some(Chunk { relation, rows }));
            }
        }
    }

    /// `None` when the table is no longer there.
    async fn begin(&self, leaf: &Leaf) -> Result<Option<Reading>, Error> {
        let client = &self.session.client;
        let (relation, table) = (leaf.relation, &leaf.root);
        let Some(locked) = catalog::lock(client, leaf).await? else {
            tracing::info!(relation, %table, "dropped meanwhile: not scanned");
            return Ok(None);
        };
        let after = match self.after.filter(|after| after.relation() == relation) {
            Some(after) if after.file() == locked.file => Some(after.written()),
            Some(_) => {
                tracing::warn!(relation, %table, "written anew meanwhile: scanned from its beginning");
                None
            }
            None => None,
        };
        let sql = select(&locked, &self.filter, after);
        let answer = client.simple_query_raw(&sql).await.map_err(read_failed)?;
        Ok(Some(Reading {
            relation: Arc::new(locked.relation),
            file: locked.file,
            answer: Box::pin(answer),
            ended: false,
        }))
    }
}

impl Reading {
    async fn next_row(&mut self, filter: &Filter) -> Result<Option<ScannedRow>, Error> {
        while !self.ended {
            match poll_fn(|context| self.answer.as_mut().poll_next(context)).await {
                None => self.ended = true,
                Some(Err(error)) => return Err(read_failed(error)),
                Some(Ok(SimpleQueryMessage::Row(row))) => {
                    return self.scanned(&row, filter).map(Some);
                }
                Some(Ok(_)) => {}
            }
        }
        Ok(None)
    }

    fn scanned(&self, row: &SimpleQueryRow, filter: &Filter) -> Result<ScannedRow, Error> {
        let xid = Xid(own(row, 1, "transaction")?);
        let written = Written {
            transaction: filter.transaction(xid),
            command: own(row, 2, "command")?,
            place: own(row, 0, "place")?,
        };
        let values = (OWN_COLUMNS..row.len())
            .map(|index| row.try_get(index))
            .collect::<Result<Vec<_>, _>>()
            .map_err(read_failed)?;
        let texts = values.into_iter().map(|value| value.map(str::as_bytes));
        Ok(ScannedRow {
            tuple: Tuple::from_texts(texts).map_err(|_| Error::UnreadableRow { what: "value" })?,
            xid,
            position: ScanPosition::new(self.relation.id.0, self.file, written),
        })
    }
}

/// A value that is the scan's, not the table's.
fn own<T: FromStr>(row: &SimpleQueryRow, index: usize, what: &'static str) -> Result<T, Error> {
    let text = row.try_get(index).map_err(read_failed)?;
    let value = text.and_then(|text| text.parse().ok());
    value.ok_or(Error::UnreadableRow { what })
}

fn read_failed(error: tokio_postgres::Error) -> Error {
    let source = PostgresError::from(error);
    // Configuration limit exceeded.
    if source.sql_state() == SqlState::parse("53400") {
        Error::NoRoomToSort { source }
    } else {
        Error::Postgres {
            doing: "read the rows of a table",
            source,
        }
    }
}

impl fmt::Debug for TableScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableScan")
            .field("snapshot", &self.snapshot)
            .field("reading", &self.reading.as_ref().map(|r| &r.relation.id))
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}
