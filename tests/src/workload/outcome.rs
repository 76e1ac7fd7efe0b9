//! What became of a transaction whose connection broke, perhaps in the middle of its COMMIT.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Writer;
use super::attempt::Connection;
use super::transaction::{Plan, Steps};
use crate::database::Session;
use crate::wait::{Look, Wait};

/// How long the database may be away.
const PATIENCE: Duration = Duration::from_secs(60);

/// Backends that may still be busy with the lost transaction.
const STILL_THERE: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1";

const COMMITTED: &str = "SELECT EXISTS (SELECT FROM application_change WHERE id = $1)";

impl Writer {
    /// Carries out `plan` exactly once. Says whether nothing went wrong on the way.
    pub(super) async fn carry_out(&mut self, plan: &Plan) -> Result<bool> {
        let mut calm = true;
        loop {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            let Err(error) = connection.carry_out(self.journal.run(), plan).await else {
                self.connection = Some(connection);
                return Ok(calm);
            };
            if !is_connection_lost(&error) {
                return Err(error).context("the writer's transaction was refused");
            }
            calm = false;
            drop(connection);
            if self.was_committed(plan).await? {
                return Ok(calm);
            }
        }
    }

    async fn connect(&self) -> Result<Connection> {
        let wait = Wait::new(PATIENCE, "the writer to connect");
        loop {
            match Connection::open(&self.database, &self.name).await {
                Ok(connection) => return Ok(connection),
                Err(error) => wait.again(format!("{error:#}")).await?,
            }
        }
    }

    async fn was_committed(&self, plan: &Plan) -> Result<bool> {
        let wait = Wait::new(PATIENCE, "the outcome of the writer's transaction");
        let committed = loop {
            match self.look_for(plan).await {
                Ok(Look::Ready(committed)) => break committed,
                Ok(Look::NotYet(seen)) => wait.again(seen).await?,
                Err(error) => wait.again(format!("{error:#}")).await?,
            }
        };
        if committed && matches!(plan.steps, Steps::RollBack(_)) {
            bail!("PostgreSQL committed a transaction that was rolled back");
        }
        Ok(committed)
    }

    async fn look_for(&self, plan: &Plan) -> Result<Look<bool>> {
        let session = Session::open(&self.database).await?;
        let busy: i64 = session.query_one(STILL_THERE, &[&self.name]).await?.get(0);
        if busy > 0 {
            return Ok(Look::NotYet("its backend is still there".into()));
        }
        let committed = session.query_one(COMMITTED, &[&plan.marker]).await?;
        Ok(Look::Ready(committed.get(0)))
    }
}

/// Whether the error says nothing about the statement: the connection broke, or the server is going down or coming up
/// (class 57P).
fn is_connection_lost(error: &tokio_postgres::Error) -> bool {
    error
        .code()
        .is_none_or(|code| code.code().starts_with("57P"))
}
