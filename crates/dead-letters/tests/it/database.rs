//! A database with the store for each test, on the shared server.

use std::ops::Deref;
use std::time::Duration;

use cdc_store::{FailedEventDetails, FailedEvents, Filter};
use pg_replication::{ConnectOptions, connect_client};
use tokio::time::{Instant, sleep};

const MIGRATIONS: [&str; 2] = [
    include_str!("../../../../sql/V4__failed_event.sql"),
    include_str!("../../../../sql/V5__failed_event_part.sql"),
];

/// A database that goes away with this value.
#[derive(Debug)]
pub(crate) struct Database(test_database::Database);

impl Deref for Database {
    type Target = test_database::Database;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Database {
    /// With the store's tables.
    pub(crate) async fn create() -> Self {
        let database = Self::empty().await;
        database.execute("CREATE SCHEMA cdc").await;
        for migration in MIGRATIONS {
            database.execute(migration).await;
        }
        database
    }

    async fn empty() -> Self {
        Self(test_database::Database::create("dead_letters").await)
    }

    pub(crate) async fn store(&self) -> FailedEvents {
        FailedEvents::connect(self.options()).await.unwrap()
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

    /// Waits until `sql` gives true.
    pub(crate) async fn wait_for(&self, sql: &str) {
        let client = self.client().await;
        let deadline = Instant::now() + Duration::from_secs(20);
        while !client.query_one(sql, &[]).await.unwrap().get::<_, bool>(0) {
            assert!(Instant::now() < deadline, "never: {sql}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// As if the server were away: sessions end and none begins.
    pub(crate) async fn close(&self) {
        let name = self.name();
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
        let name = self.name();
        admin(&format!(
            "ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true"
        ))
        .await;
    }
}

async fn admin(sql: &str) {
    let shared = ConnectOptions::parse(&test_database::shared_url()).unwrap();
    let admin = connect_client(&shared).await.unwrap();
    admin.batch_execute(sql).await.unwrap();
}
