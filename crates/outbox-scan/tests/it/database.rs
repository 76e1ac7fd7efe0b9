//! A database for each test, on the shared server, and what tests do with it.

use std::path::Path;
use std::time::Duration;

use outbox_scan::{
    Chunk, ScanPlan, ScannedRow, Snapshot, TableName, TableScan, View, take_snapshot,
};
use pg_replication::pgoutput::TupleValue;
use pg_replication::{
    Client, ConnectOptions, CreateSlot, CreatedSlot, Error, PublicationName, ReplicationStream,
    Session, SlotName, SnapshotAction, StreamOptions, connect_client,
};
use tokio::time::Instant;

/// An empty database that goes away with this value, its slots too.
#[derive(Debug)]
pub(crate) struct Database {
    name: String,
    options: ConnectOptions,
}

fn shared_url() -> String {
    const VARIABLE: &str = "DATABASE_URL";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.services/env");
    let from_file = || {
        let text = std::fs::read_to_string(file).ok()?;
        text.lines()
            .find_map(|line| Some(line.strip_prefix(VARIABLE)?.strip_prefix('=')?.to_owned()))
    };
    std::env::var(VARIABLE)
        .ok()
        .or_else(from_file)
        .unwrap_or_else(|| panic!("no {VARIABLE}: run `make services-up`"))
}

impl Database {
    pub(crate) async fn create(test: &str) -> Self {
        let name = format!("outbox_scan_{test}_{}", std::process::id());
        let shared = ConnectOptions::parse(&shared_url()).unwrap();
        let admin = connect_client(&shared).await.unwrap();
        let sql = format!("CREATE DATABASE {name}");
        admin.batch_execute(&sql).await.unwrap();
        Self {
            options: shared.with_database(&name),
            name,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn options(&self) -> &ConnectOptions {
        &self.options
    }

    pub(crate) async fn client(&self) -> Client {
        connect_client(&self.options).await.unwrap()
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
            name: SlotName::new(&self.name).unwrap(),
            temporary: false,
            failover: false,
            snapshot: SnapshotAction::Export,
        };
        let mut session = Session::connect(&self.options).await.unwrap();
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
        let session = Session::connect(&self.options).await.unwrap();
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
        TableScan::open(&self.options, plan).await.unwrap()
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

    async fn clean_up(name: &str) -> Result<(), Error> {
        let admin = connect_client(&ConnectOptions::parse(&shared_url())?).await?;
        let deadline = Instant::now() + Duration::from_secs(20);
        let slots =
            "SELECT slot_name::text, active_pid FROM pg_replication_slots WHERE database = $1";
        while Instant::now() < deadline {
            let left = admin.query(slots, &[&name]).await?;
            if left.is_empty() {
                break;
            }
            for slot in left {
                let (slot_name, holder): (String, Option<i32>) = (slot.get(0), slot.get(1));
                let sql = "SELECT pg_terminate_backend($1, 1000)";
                match holder {
                    Some(pid) => drop(admin.execute(sql, &[&pid]).await),
                    None => {
                        let sql = "SELECT pg_drop_replication_slot($1)";
                        drop(admin.execute(sql, &[&slot_name]).await);
                    }
                }
            }
        }
        let sql = format!("DROP DATABASE {name} WITH (FORCE)");
        admin.batch_execute(&sql).await?;
        Ok(())
    }
}

impl Drop for Database {
    /// On a thread of its own, as the test's runtime can't be waited on here; so it works after a panic too.
    fn drop(&mut self) {
        let name = self.name.clone();
        let cleaner = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(Self::clean_up(&name))
        });
        let outcome = cleaner.join();
        assert!(
            std::thread::panicking() || matches!(outcome, Ok(Ok(()))),
            "{} is left over: {outcome:?}",
            self.name
        );
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
