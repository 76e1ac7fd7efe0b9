//! A database with the tables for each test, on the shared server.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use pg_replication::{Client, ConnectOptions, connect_client};

const MIGRATION: &str = include_str!("../../../../sql/V7__notifier.sql");

/// A database that goes away with this value.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) options: ConnectOptions,
}

impl Database {
    /// With the notifier's tables.
    pub(crate) async fn create() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("notifier_{}_{number}", std::process::id());
        let database = Self {
            options: shared().with_database(&name),
            name,
        };
        let admin = connect_client(&shared()).await.unwrap();
        let sql = format!("CREATE DATABASE {}", database.name);
        admin.batch_execute(&sql).await.unwrap();
        database.execute("CREATE SCHEMA cdc").await;
        database.execute(MIGRATION).await;
        database
    }

    pub(crate) async fn client(&self) -> Client {
        connect_client(&self.options).await.unwrap()
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.client().await.batch_execute(sql).await.unwrap();
    }

    /// The first column of the only row as text.
    pub(crate) async fn text(&self, sql: &str) -> Option<String> {
        let sql = format!("SELECT ({sql})::text");
        self.client()
            .await
            .query_one(&sql, &[])
            .await
            .unwrap()
            .get(0)
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
            runtime.block_on(async {
                let admin = connect_client(&shared()).await.unwrap();
                admin.batch_execute(&sql).await.unwrap();
            });
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
