//! An outbox that is asked for news every second.

use std::time::Duration;

use anyhow::Result;
use deadpool_postgres::Pool;
use sns::event::MemberId;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::producer::Producer;

/// How often the table is asked. An event waits for half of it on average; the table is asked whether there is one or not.
const INTERVAL: Duration = Duration::from_secs(1);

/// The most events that are taken at once.
const BATCH: i64 = 100;

/// The rows stay locked until they are sent: another instance takes others.
const TAKE: &str = "SELECT position, author_id, event::text FROM sns.outbox_polled
                     ORDER BY position LIMIT $1 FOR UPDATE SKIP LOCKED";

const FORGET: &str = "DELETE FROM sns.outbox_polled WHERE position = $1";

/// Sends the rows of `sns.outbox_polled`.
#[derive(Clone)]
pub(crate) struct Polling {
    pool: Pool,
    producer: Producer,
}

impl Polling {
    pub(crate) fn new(pool: Pool, producer: Producer) -> Self {
        Self { pool, producer }
    }

    /// Runs until the token is cancelled.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.cancelled() => return,
            }
            if let Err(error) = self.send_all().await {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "events wait for the next round"
                );
            }
        }
    }

    /// Sends what is there, in order. A crash between Kafka's answer and the commit sends it again.
    async fn send_all(&self) -> Result<()> {
        loop {
            let mut client = self.pool.get().await?;
            let transaction = client.transaction().await?;
            let rows = transaction.query(TAKE, &[&BATCH]).await?;
            let mut failure = None;
            for row in &rows {
                let (position, author, event): (i64, i64, &str) =
                    (row.get(0), row.get(1), row.get(2));
                // What comes after it waits too, or the order would change.
                if let Err(error) = self.producer.send(MemberId(author), event).await {
                    failure = Some(error);
                    break;
                }
                transaction.execute(FORGET, &[&position]).await?;
            }
            transaction.commit().await?;
            match failure {
                Some(error) => return Err(error),
                None if rows.is_empty() => return Ok(()),
                None => {}
            }
        }
    }
}
