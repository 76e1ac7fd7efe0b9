//! A database for each test, on the shared server, and what tests do with it.

use std::time::Duration;

use outbox_scan::{
    Chunk, ScanPlan, ScannedRow, Snapshot, TableName, TableScan, View, take_snapshot,
};
use pg_replication::pgoutput::TupleValue;
use pg_replication::{
    Client, ConnectOptions, CreateSlot, CreatedSlot, PublicationName, ReplicationStream, Session,
    SlotName, SnapshotAction, StreamOptions,
};

/// A database of the test's own.
#[derive(Debug)]
pub(crate) struct Database(test_database::Database);

impl Database {
    pub(crate) async fn create(test: &str) -> Self {
        Self(test_database::Database::create(test).await)
    }

    pub(crate) fn name(&self) -> &str {
        self.0.name()
    }

    pub(crate) fn options(&self) -> &ConnectOptions {
        self.0.options()
    }

    pub(crate) async fn client(&self) -> Client {
        self.0.client().await
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.client().await.batch_execute(sql).await.unwrap();
    }

    pub(crate) async fn now(&self) -> Snapshot {
        take_snapshot(&self.client().await).await.unwrap()
    }

    /// A slot with an exported snapshot, which lives as long as the session.
    pub(crate) async fn slot(&self) -> (Session, CreatedSlot) {
        let slot = CreateSlot {
            name: SlotName::new(self.name()).unwrap(),
            temporary: false,
            failover: false,
            snapshot: SnapshotAction::Export,
        };
        let mut session = self.0.session().await;
        let created = session.create_slot(&slot).await.unwrap();
        (session, created)
    }

    /// Streams the publication `p` from the slot.
    pub(crate) async fn stream(&self, slot: &CreatedSlot) -> ReplicationStream {
        let options = StreamOptions {
            slot: slot.name.clone(),
            publications: vec![PublicationName::new("p").unwrap()],
            messages: false,
            status_interval: Duration::from_secs(1),
            silence_limit: Duration::from_secs(30),
        };
        let session = self.0.session().await;
        ReplicationStream::start(session, &options).await.unwrap()
    }

    /// A scan of `tables` in schema `public`, as of now.
    pub(crate) async fn plan(&self, tables: &[&str]) -> ScanPlan {
        ScanPlan {
            tables: tables
                .iter()
                .map(|name| TableName::new("public", name))
                .collect(),
            view: View::AsOf(self.now().await),
            since: None,
            after: None,
        }
    }

    pub(crate) async fn open(&self, plan: ScanPlan) -> TableScan {
        TableScan::open(self.options(), plan).await.unwrap()
    }

    /// All that a scan of `plan` gives.
    pub(crate) async fn scan(&self, plan: ScanPlan) -> Vec<Chunk> {
        let mut scan = self.open(plan).await;
        let mut chunks = Vec::new();
        while let Some(chunk) = scan.next_chunk().await.unwrap() {
            chunks.push(chunk);
        }
        chunks
    }
}

pub(crate) fn rows(chunks: &[Chunk]) -> impl Iterator<Item = &ScannedRow> {
    chunks.iter().flat_map(|chunk| &chunk.rows)
}

/// The first column of a row, a number.
pub(crate) fn number(row: &ScannedRow) -> i64 {
    match row.tuple.value(0) {
        Some(TupleValue::Text(text)) => std::str::from_utf8(text).unwrap().parse().unwrap(),
        other => panic!("{other:?}"),
    }
}

/// The first columns of all rows.
pub(crate) fn numbers(chunks: &[Chunk]) -> Vec<i64> {
    rows(chunks).map(number).collect()
}
