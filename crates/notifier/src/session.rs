//! A session with PostgreSQL that comes back.

use std::time::Duration;

use pg_replication::{Client, ConnectOptions, connect_client};
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql, Type};

use crate::error::Error;

/// A value of a statement, and its type: a pooler may serve each statement by another session, so nothing is prepared.
pub(crate) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// One session with PostgreSQL, made when it is first needed, and anew after it was lost.
#[derive(Debug)]
pub(crate) struct Session {
    options: ConnectOptions,
    limit: Duration,
    client: Option<Client>,
}

impl Session {
    /// `limit` is the time that one call may take.
    pub(crate) const fn new(options: ConnectOptions, limit: Duration) -> Self {
        Self {
            options,
            limit,
            client: None,
        }
    }

    /// Runs a statement. `doing` completes the sentence "could not …".
    ///
    /// A dropped call, or one that takes too long, closes the session: whether the statement was run is unknown.
    pub(crate) async fn query(
        &mut self,
        doing: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Error> {
        self.limited(doing, async |client| {
            client.query_typed(sql, parameters).await
        })
        .await
    }

    /// As [`query`](Self::query), but gives how many rows it changed.
    pub(crate) async fn execute(
        &mut self,
        doing: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<u64, Error> {
        self.limited(doing, async |client| {
            client.execute_typed(sql, parameters).await
        })
        .await
    }

    async fn limited<T>(
        &mut self,
        doing: &'static str,
        run: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Error> {
        let limit = self.limit;
        timeout(limit, Box::pin(self.unlimited(doing, run)))
            .await
            .unwrap_or(Err(Error::TimedOut { doing, limit }))
    }

    async fn unlimited<T>(
        &mut self,
        doing: &'static str,
        run: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Error> {
        // Taken out while it is in use, so that it goes away with a call that is dropped.
        let client = match self.client.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => connect_client(&self.options)
                .await
                .map_err(Error::while_(doing))?,
        };
        let done = run(&client).await.map_err(Error::while_(doing));
        self.client = Some(client);
        done
    }
}

/// A column of a row; its name is one that the statement gives.
pub(crate) fn column<'a, T: FromSql<'a>>(row: &'a Row, name: &'static str) -> Result<T, Error> {
    row.try_get(name)
        .map_err(|error| Error::unreadable(name, error))
}
