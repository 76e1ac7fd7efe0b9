//! A database with the store for each test, on the shared server.

use std::ops::Deref;

use cdc_store::FailedEvents;

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

    pub(crate) async fn empty() -> Self {
        Self(test_database::Database::create("cdc_store").await)
    }

    pub(crate) async fn store(&self) -> FailedEvents {
        FailedEvents::connect(self.options()).await.unwrap()
    }
}
