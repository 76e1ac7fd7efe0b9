//! Reads rows in a task of its own: a scan must not be interrupted, and the session is all the time.

use outbox_scan::{Chunk, ScanPlan, Snapshot, TableScan};
use pg_lsn::Lsn;
use pg_replication::{Client, ConnectOptions, connect_client};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::relay::Relay;
use crate::relay::coverage::Coverage;
use crate::relay::error::RelayError;
use crate::relay::pipeline::{Identity, Pipeline};

/// Chunks that may be read ahead, of about 1 MiB each.
const AHEAD: usize = 2;

/// What a reader gives.
#[derive(Debug)]
pub(super) enum Read {
    Rows(Chunk),
    /// There are no more.
    End {
        /// The end of the log when the last row had been read.
        log_end: Lsn,
    },
}

/// Rows, one chunk after the other. Dropping it ends the scan.
#[derive(Debug)]
pub(super) struct Reader {
    snapshot: Snapshot,
    chunks: mpsc::Receiver<Result<Read, RelayError>>,
    /// Ends with this value.
    _task: JoinSet<()>,
}

impl Reader {
    pub(super) async fn open(relay: &Relay, plan: ScanPlan) -> Result<Self, RelayError> {
        let mut scan = TableScan::open(&relay.postgres, plan)
            .await
            .map_err(|source| RelayError::Backfill { source })?;
        let snapshot = scan.snapshot().clone();
        let (sender, chunks) = mpsc::channel(AHEAD);
        let options = relay.postgres.clone();
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                let (read, last) = match scan.next_chunk().await {
                    Ok(Some(chunk)) => (Ok(Read::Rows(chunk)), false),
                    Ok(None) => (log_end(&options).await, true),
                    Err(source) => (Err(RelayError::Backfill { source }), true),
                };
                // Nobody wants them any more.
                if sender.send(read).await.is_err() || last {
                    return;
                }
            }
        });
        Ok(Self {
            snapshot,
            chunks,
            _task: task,
        })
    }

    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Cancellation safe.
    pub(super) async fn next(&mut self) -> Result<Read, RelayError> {
        match self.chunks.recv().await {
            Some(read) => read,
            None => Err(RelayError::BackfillEnded),
        }
    }

    /// Reads everything, for the identities of the events; gives the end of the log.
    pub(super) async fn for_each(
        mut self,
        relay: &Relay,
        mut visit: impl FnMut(Identity<'_>) -> Result<(), RelayError>,
    ) -> Result<Lsn, RelayError> {
        let contract = relay.contract()?;
        let mut pipeline = Pipeline::new(contract, Coverage::NOTHING, None, relay.metrics.clone());
        loop {
            let chunk = match self.next().await? {
                Read::Rows(chunk) => chunk,
                Read::End { log_end } => return Ok(log_end),
            };
            for row in &chunk.rows {
                if let Some(identity) = pipeline.identify(&chunk.relation, &row.tuple)? {
                    visit(identity)?;
                }
            }
        }
    }
}

/// The name of a snapshot of now, for as long as the client lives.
pub(super) async fn export_snapshot(relay: &Relay) -> Result<(Client, String), RelayError> {
    let failed = |error: tokio_postgres::Error| RelayError::Postgres {
        doing: "export a snapshot",
        source: error.into(),
    };
    let client = connect_client(&relay.postgres).await.map_err(asking)?;
    client
        .batch_execute(
            "SET idle_in_transaction_session_timeout = 0; BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
        )
        .await
        .map_err(failed)?;
    let row = client
        .query_one("SELECT pg_catalog.pg_export_snapshot()", &[])
        .await
        .map_err(failed)?;
    Ok((client, row.try_get(0).map_err(failed)?))
}

async fn log_end(options: &ConnectOptions) -> Result<Read, RelayError> {
    let client = connect_client(options).await.map_err(asking)?;
    let row = client
        .query_one("SELECT pg_catalog.pg_current_wal_insert_lsn()::text", &[])
        .await
        .map_err(|error| asking(error.into()))?;
    let text: String = row.try_get(0).map_err(|error| asking(error.into()))?;
    let log_end = text.parse().map_err(|_| RelayError::BackfillEnded)?;
    Ok(Read::End { log_end })
}

fn asking(source: pg_replication::Error) -> RelayError {
    RelayError::Postgres {
        doing: "ask for the end of the log",
        source,
    }
}
