//! A database with the tables for each test, on the shared server.

use std::ops::Deref;

const MIGRATIONS: [&str; 8] = [
    include_str!("../../../../sql/V7__notifier.sql"),
    include_str!("../../../../sql/V9__attempts.sql"),
    include_str!("../../../../sql/V10__attempts_by_time.sql"),
    include_str!("../../../../sql/V11__endpoint_breaker.sql"),
    include_str!("../../../../sql/V12__cheaper_deliveries.sql"),
    include_str!("../../../../sql/V15__untold_deliveries.sql"),
    include_str!("../../../../sql/V16__endpoint_news.sql"),
    include_str!("../../../../sql/V17__arrivals.sql"),
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
    /// With the notifier's tables.
    pub(crate) async fn create() -> Self {
        let database = Self::empty().await;
        database.execute("CREATE SCHEMA cdc").await;
        for migration in MIGRATIONS {
            database.execute(migration).await;
        }
        database
    }

    async fn empty() -> Self {
        Self(test_database::Database::create("notifier").await)
    }
}
