//! Reads rows in a task of its own: a scan must not be interrupted, and the session is all the time.

use std::time::Duration;

use outbox_scan::{Chunk, ScanPlan, Snapshot, TableScan};
use pg_lsn::Lsn;
use pg_replication::{Client, ConnectOptions, connect_client};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::config::OutboxTable;
use crate::relay::Relay;
use crate::relay::coverage::Coverage;
use crate::relay::error::RelayError;
use crate::relay::pipeline::{Identity, Pipeline};
use crate::relay::topic::KnownTopics;

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
        let mut pipeline = Pipeline::new(
            contract,
            KnownTopics::default(),
            Coverage::NOTHING,
            None,
            relay.metrics.clone(),
        );
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

/// How long a moment is waited for in which no transaction runs in the whole cluster, and then for one in which nobody
/// writes to the outbox tables.
const QUIET: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(5);

/// Somebody is writing to one of the tables, or to a partition of one.
const WRITERS: &str = "
    WITH tables AS (
        SELECT pg_catalog.to_regclass(pg_catalog.format('%I.%I', schema, name)) AS oid
          FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) AS names(schema, name)
    ), relations AS (
        SELECT oid FROM tables UNION SELECT relid FROM tables, pg_catalog.pg_partition_tree(tables.oid)
    )
    SELECT EXISTS (
        SELECT FROM pg_catalog.pg_locks
         WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted
           AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
           AND relation IN (SELECT oid FROM relations)
    )";

/// The name of a snapshot of now, for as long as the client lives.
///
/// Its text does not list the savepoints of transactions that are running, so that a scan that goes on after a crash
/// would take their rows for finished, and send them although they come by the stream too. Therefore a moment is chosen
/// in which there are none, if there is one soon.
pub(super) async fn export_snapshot(relay: &Relay) -> Result<(Client, String), RelayError> {
    let client = connect_client(&relay.postgres).await.map_err(asking)?;
    client
        .batch_execute("SET idle_in_transaction_session_timeout = 0")
        .await
        .map_err(not_exported)?;
    let started = Instant::now();
    loop {
        let before = has_writers(relay, &client).await?;
        client
            .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            .await
            .map_err(not_exported)?;
        let row = client
            .query_one(
                "SELECT pg_catalog.pg_export_snapshot(),
                        EXISTS (SELECT pg_catalog.pg_snapshot_xip(pg_catalog.pg_current_snapshot()))",
                &[],
            )
            .await
            .map_err(not_exported)?;
        let alone = !row.try_get::<_, bool>(1).map_err(not_exported)?;
        let waited = started.elapsed();
        let unwritten = waited >= QUIET && !before && !has_writers(relay, &client).await?;
        if alone || unwritten || waited >= 2 * QUIET {
            return Ok((client, row.try_get(0).map_err(not_exported)?));
        }
        client
            .batch_execute("ROLLBACK")
            .await
            .map_err(not_exported)?;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn has_writers(relay: &Relay, client: &Client) -> Result<bool, RelayError> {
    let tables = &relay.config.outbox.tables;
    let schemas: Vec<&str> = tables.iter().map(OutboxTable::schema).collect();
    let names: Vec<&str> = tables.iter().map(OutboxTable::name).collect();
    let row = client
        .query_one(WRITERS, &[&schemas, &names])
        .await
        .map_err(not_exported)?;
    row.try_get(0).map_err(not_exported)
}

fn not_exported(error: tokio_postgres::Error) -> RelayError {
    RelayError::Postgres {
        doing: "export a snapshot",
        source: error.into(),
    }
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
