//! A database with lanes for each test, on the shared server.

use std::ops::Deref;

use ordered_lanes::PostgresLanes;

const MIGRATIONS: [&str; 6] = [
    include_str!("../../../../sql/V4__failed_event.sql"),
    include_str!("../../../../sql/V5__failed_event_part.sql"),
    include_str!("../../../../sql/V6__lane.sql"),
    include_str!("../../../../sql/V8__lane_delays.sql"),
    include_str!("../../../../sql/V13__lane_part_due.sql"),
    include_str!("../../../../sql/V14__lane_replay.sql"),
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
    /// With the tables of the lanes.
    pub(crate) async fn create() -> Self {
        let database = Self::empty().await;
        database.execute("CREATE SCHEMA cdc").await;
        for migration in MIGRATIONS {
            database.execute(migration).await;
        }
        database
    }

    pub(crate) async fn empty() -> Self {
        Self(test_database::Database::create("ordered_lanes").await)
    }

    pub(crate) async fn lanes(&self) -> PostgresLanes {
        PostgresLanes::connect(self.options()).await.unwrap()
    }

    /// Sessions from now on wait for the disk only where the product asks for it.
    pub(crate) async fn relax(&self) {
        let name = self.name();
        let sql = format!("ALTER DATABASE {name} SET synchronous_commit = off");
        self.execute(&sql).await;
    }

    /// Ends all other sessions with this database.
    pub(crate) async fn disconnect_others(&self) {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid()";
        self.execute(sql).await;
    }
}
