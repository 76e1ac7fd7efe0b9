//! One session with PostgreSQL that all share, and that comes back after it was lost.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, Row};

use crate::settings::SecretUrl;

/// A value of a statement, and its type.
pub(crate) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// How long connecting, or one statement, may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The database. Statements of several callers are sent one behind the other without waiting for answers; each is a
/// transaction of its own.
#[derive(Debug)]
pub(crate) struct Database {
    config: Config,
    current: Mutex<Option<Arc<Session>>>,
    /// Whoever has it may connect; the others wait for what it brings.
    connecting: Semaphore,
}

/// A client together with the task that moves its bytes, which ends when this is dropped.
#[derive(Debug)]
struct Session {
    client: Client,
    _connection: JoinSet<()>,
}

impl Database {
    /// Connects, and makes the tables that are missing.
    ///
    /// # Errors
    ///
    /// The URL cannot be read, or the database cannot be reached.
    pub(crate) async fn open(url: &SecretUrl) -> Result<Self> {
        // The error would repeat what it could not read.
        let config: Config = url
            .reveal()
            .parse()
            .map_err(|_| anyhow::anyhow!("DATABASE_URL is no URL of a PostgreSQL database"))?;
        let database = Self {
            config,
            current: Mutex::new(None),
            connecting: Semaphore::new(1),
        };
        let session = database.session().await?;
        session
            .client
            .batch_execute(include_str!("schema.sql"))
            .await
            .context("make the tables of the schema coupon")?;
        Ok(database)
    }

    /// Runs a statement, as a transaction of its own. `doing` completes the sentence "could not …".
    ///
    /// When it is dropped or fails, the statement may have been run all the same.
    ///
    /// # Errors
    ///
    /// The database cannot be reached, refuses, or takes more than 10 s.
    pub(crate) async fn query(
        &self,
        doing: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>> {
        let asked = async {
            let session = self.session().await?;
            Ok(session.client.query_typed(sql, parameters).await?)
        };
        let answer: Result<Vec<Row>> = match timeout(LIMIT, asked).await {
            Ok(answer) => answer,
            Err(_) => {
                // Whatever it is that does not answer, the next statement gets another session.
                self.current().take();
                Err(anyhow::anyhow!("PostgreSQL has not answered for {LIMIT:?}"))
            }
        };
        answer.with_context(|| format!("could not {doing}"))
    }

    async fn session(&self) -> Result<Arc<Session>> {
        if let Some(session) = self.usable() {
            return Ok(session);
        }
        let _turn = self.connecting.acquire().await?;
        // Somebody else may have connected meanwhile.
        if let Some(session) = self.usable() {
            return Ok(session);
        }
        let session = Arc::new(Session::open(&self.config).await?);
        *self.current() = Some(Arc::clone(&session));
        Ok(session)
    }

    fn usable(&self) -> Option<Arc<Session>> {
        let current = self.current();
        current
            .as_ref()
            .filter(|session| !session.client.is_closed())
            .map(Arc::clone)
    }

    fn current(&self) -> MutexGuard<'_, Option<Arc<Session>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    async fn open(config: &Config) -> Result<Self> {
        let (client, connection) = timeout(LIMIT, config.connect(NoTls))
            .await
            .context("PostgreSQL does not answer")?
            .context("connect to PostgreSQL")?;
        let mut task = JoinSet::new();
        task.spawn(async move {
            // Those who wait for answers get the same error.
            drop(connection.await);
        });
        Ok(Self {
            client,
            _connection: task,
        })
    }
}
