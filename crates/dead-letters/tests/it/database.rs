//! A database with the store for each test, on the shared server.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cdc_store::{FailedEventDetails, FailedEvents, Filter};
use pg_replication::{Client, ConnectOptions, connect_client};
use tokio::time::{Instant, sleep};

const MIGRATIONS: [&str; 2] = [
    include_str!("../../../../sql/V4__failed_event.sql"),
    include_str!("../../../../sql/V5__failed_event_part.sql"),
];

/// A database that goes away with this value.
#[derive(Debug)]
pub(crate) struct Database {
    name: String,
    pub(crate) options: ConnectOptions,
}

impl Database {
    pub(crate) async fn create() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("dead_letters_{}_{number}", std::process::id());
        let database = Self {
            options: shared().with_database(&name),
            name,
        };
        admin(&format!("CREATE DATABASE {}", database.name)).await;
        database.execute("CREATE SCHEMA cdc").await;
        for migration in MIGRATIONS {
            database.execute(migration).await;
        }
        database
    }

    pub(crate) async fn store(&self) -> FailedEvents {
        FailedEvents::connect(&self.options).await.unwrap()
    }

    /// Everything that is stored, by number.
    pub(crate) async fn events(&self) -> Vec<FailedEventDetails> {
        let mut store = self.store().await;
        let mut listed = store.list(&Filter::default(), 10_000).await.unwrap();
        listed.sort_by_key(|event| event.id);
        let mut events = Vec::new();
        for event in listed {
            events.push(store.get(event.id).await.unwrap().unwrap());
        }
        events
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.client().await.batch_execute(sql).await.unwrap();
    }

    /// Waits until `sql` gives true.
    pub(crate) async fn wait_for(&self, sql: &str) {
        let client = self.client().await;
        let deadline = Instant::now() + Duration::from_secs(20);
        while !client.query_one(sql, &[]).await.unwrap().get::<_, bool>(0) {
            assert!(Instant::now() < deadline, "never: {sql}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn client(&self) -> Client {
        connect_client(&self.options).await.unwrap()
    }

    /// As if the server were away: sessions end and none begins.
    pub(crate) async fn close(&self) {
        let name = &self.name;
        admin(&format!(
            "ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false"
        ))
        .await;
        admin(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        ))
        .await;
    }

    pub(crate) async fn open(&self) {
        let name = &self.name;
        admin(&format!(
            "ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true"
        ))
        .await;
    }
}

impl Drop for Database {
    /// On a thread of its own, as the test's runtime can't be waited on here; so it works after a panic too.
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(admin(&sql));
        })
        .join();
        // A second panic would hide the first.
        assert!(
            std::thread::panicking() || dropped.is_ok(),
            "{} is left over",
            self.name
        );
    }
}

async fn admin(sql: &str) {
    let admin = connect_client(&shared()).await.unwrap();
    admin.batch_execute(sql).await.unwrap();
}

fn shared() -> ConnectOptions {
    const VARIABLE: &str = "DATABASE_URL";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.services/env");
    let from_file = || {
        let text = std::fs::read_to_string(file).ok()?;
        text.lines()
            .find_map(|line| Some(line.strip_prefix(VARIABLE)?.strip_prefix('=')?.to_owned()))
    };
    let url = std::env::var(VARIABLE).ok().or_else(from_file);
    let url = url.unwrap_or_else(|| panic!("no {VARIABLE}: run `make services-up`"));
    ConnectOptions::parse(&url).unwrap()
}
