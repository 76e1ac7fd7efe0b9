//! A connection for SQL.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

use super::{DatabaseUrl, Lsn};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A client together with the task that moves its bytes, which ends when this is dropped.
#[derive(Debug)]
pub struct Session {
    client: Client,
    _connection: JoinSet<()>,
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// Fails if the server is down, refuses, or takes more than 5 s.
    pub async fn open(url: &DatabaseUrl) -> Result<Self> {
        Self::open_as(url, "e2e").await
    }

    /// Connects under an `application_name`, by which `pg_stat_activity` shows the session.
    ///
    /// # Errors
    /// Fails if the server is down, refuses, or takes more than 5 s.
    pub async fn open_as(url: &DatabaseUrl, application_name: &str) -> Result<Self> {
        let mut config: tokio_postgres::Config = url.to_string().parse()?;
        config.application_name(application_name);
        let (client, connection) =
            tokio::time::timeout(CONNECT_TIMEOUT, config.connect(NoTls)).await??;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // The client's calls fail with the same error.
            connection.await.ok();
        });
        Ok(Self {
            client,
            _connection: tasks,
        })
    }

    /// The end of the server's log, written so far: past every commit that this session has made.
    ///
    /// # Errors
    /// Fails if the connection is lost.
    pub async fn current_lsn(&self) -> Result<Lsn> {
        let query = "SELECT (pg_current_wal_lsn() - '0/0')::bigint";
        let row = self.client.query_one(query, &[]).await?;
        Ok(Lsn::from_difference(row.get(0)))
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}
