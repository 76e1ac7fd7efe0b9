//! A database of the test's own, and what PostgreSQL says about its slot.

mod progress;
mod session;
mod slot;
mod url;

use std::time::Duration;

use anyhow::Result;

use crate::random;
use crate::services::{Component, Services};
use crate::wait::{Look, until};

pub use session::Session;
pub use slot::{Lsn, Slot, Walsender};
pub use url::DatabaseUrl;

/// How long cleaning up may take.
const CLEAN_UP: Duration = Duration::from_secs(10);

/// A database with a name that nobody else has. Dropped with its slots when this value is dropped.
#[derive(Debug)]
pub struct Database {
    name: String,
    url: DatabaseUrl,
    maintenance: DatabaseUrl,
    drop_it: bool,
}

impl Database {
    /// Creates an empty database.
    ///
    /// # Errors
    /// Fails if the server refuses.
    pub async fn create(services: &Services) -> Result<Self> {
        let name = random::fresh_name("e2e");
        let maintenance = DatabaseUrl::parse(services.database_url())?;
        let session = Session::open(&maintenance).await?;
        session
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .await?;
        let url = maintenance.with_database(&name);
        Ok(Self {
            name,
            url,
            maintenance,
            drop_it: !services.is_private(Component::Postgres),
        })
    }

    /// Its name: lower-case letters, digits and underscores, fit for a slot too.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its URL.
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// A session as superuser.
    ///
    /// # Errors
    /// Fails if the server is down.
    pub async fn session(&self) -> Result<Session> {
        Session::open(&self.url).await
    }

    /// The end of the server's log, written so far.
    ///
    /// # Errors
    /// Fails if the server is down.
    pub async fn current_lsn(&self) -> Result<Lsn> {
        self.session().await?.current_lsn().await
    }

    /// Commits `rows` rows of about 1 KiB to a table that no publication contains; the log's end after that.
    ///
    /// # Errors
    /// Fails if the server is down.
    pub async fn write_elsewhere(&self, rows: u32) -> Result<Lsn> {
        let session = self.session().await?;
        session
            .batch_execute("CREATE TABLE IF NOT EXISTS elsewhere (filler text)")
            .await?;
        let insert = format!(
            "INSERT INTO elsewhere SELECT repeat('x', 1000) FROM generate_series(1, {rows})"
        );
        session.batch_execute(&insert).await?;
        self.current_lsn().await
    }

    async fn drop_with_slots(maintenance: &DatabaseUrl, name: &str) -> Result<()> {
        let session = Session::open(maintenance).await?;
        let terminate =
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = $1";
        let drop_slots = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1";
        until(CLEAN_UP, "the slot to be dropped", async || {
            session.query(terminate, &[&name]).await?;
            session.query(drop_slots, &[&name]).await?;
            Ok(Look::Ready(()))
        })
        .await?;
        Ok(session
            .batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
            .await?)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.drop_it {
            let (maintenance, name) = (self.maintenance.clone(), self.name.clone());
            crate::cleanup::run(&format!("drop {name}"), move || async move {
                Self::drop_with_slots(&maintenance, &name).await
            });
        }
    }
}
