//! What the database says of the server, the slot, the publication and the outbox tables.

mod catalog;
mod clock;
mod holder;
mod outbox;
mod pace;
mod privilege;
mod publication;
mod server;
mod slot;

use pg_replication::{Client, Error, connect_client};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, SimpleQueryMessage};

use crate::config::Config;
use crate::failure::{Context, Failure};

pub(crate) use clock::ClockDifference;
pub(crate) use holder::{Blocker, Holder};
pub(crate) use outbox::OutboxShape;
pub(crate) use pace::Pace;
pub(crate) use publication::Publication;
pub(crate) use server::{RoleFacts, ServerFacts};
pub(crate) use slot::SlotState;

/// An ordinary session with the configured database.
#[derive(Debug)]
pub(crate) struct Database {
    client: Client,
}

impl Database {
    /// Opens a session.
    ///
    /// # Errors
    ///
    /// The server cannot be reached or does not let the role in.
    pub(crate) async fn connect(config: &Config) -> Result<Self, Failure> {
        let context = Context::new(config, "connect to PostgreSQL");
        let options = config.postgres.options();
        let client = connect_client(&options)
            .await
            .map_err(|error| Failure::from_postgres(error, context))?;
        Ok(Self { client })
    }

    /// The library's session, for what runs SQL by itself.
    pub(crate) fn raw(&mut self) -> &mut tokio_postgres::Client {
        &mut self.client
    }

    /// Runs statements without parameters, one after the other.
    pub(crate) async fn execute(&self, sql: &str, context: Context<'_>) -> Result<(), Failure> {
        self.client
            .batch_execute(sql)
            .await
            .map_err(|error| told(error, context))
    }

    /// The rows of one statement.
    pub(crate) async fn rows(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
        context: Context<'_>,
    ) -> Result<Vec<Row>, Failure> {
        self.client
            .query(sql, parameters)
            .await
            .map_err(|error| told(error, context))
    }

    /// The only row of one statement, if there is one.
    pub(crate) async fn row(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
        context: Context<'_>,
    ) -> Result<Option<Row>, Failure> {
        self.client
            .query_opt(sql, parameters)
            .await
            .map_err(|error| told(error, context))
    }

    /// The first column of the first row as text.
    pub(crate) async fn text(
        &self,
        sql: &str,
        context: Context<'_>,
    ) -> Result<Option<String>, Failure> {
        let messages = self
            .client
            .simple_query(sql)
            .await
            .map_err(|error| told(error, context))?;
        Ok(messages.into_iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        }))
    }
}

fn told(error: tokio_postgres::Error, context: Context<'_>) -> Failure {
    Failure::from_postgres(Error::from(error), context)
}

/// A value of a row whose query this crate wrote, so that its type is known.
pub(crate) fn value<'a, T: tokio_postgres::types::FromSql<'a>>(
    row: &'a Row,
    column: &str,
) -> Result<T, Failure> {
    row.try_get(column).map_err(|error| {
        Failure::internal(format!(
            "a catalog query gave another column {column:?} than expected"
        ))
        .caused_by(error)
    })
}
