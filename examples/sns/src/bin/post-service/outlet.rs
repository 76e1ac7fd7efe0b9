//! Where the event of a post goes: three answers to one question.

use anyhow::Result;
use deadpool_postgres::{Pool, Transaction};
use sns::event::PostCreated;
use tokio_postgres::types::Json;
use tokio_util::sync::CancellationToken;

use crate::mode::Mode;
use crate::polling::Polling;
use crate::producer::Producer;

/// What is done with an event, in the transaction of its post and after it.
#[derive(Clone)]
pub(crate) enum Outlet {
    Direct(Producer),
    Polling(Polling),
    Cdc,
}

/// cdc-relay sends what is committed, when it is committed: there is nothing else to do.
const EMIT: &str = "SELECT cdc.emit('post-create', $1::text, 'PostCreated', $2::json)";

const KEEP: &str = "INSERT INTO sns.outbox_polled (author_id, event) VALUES ($1, $2)";

impl Outlet {
    /// Makes the topic, where this service is the one to send.
    pub(crate) async fn open(mode: Mode, brokers: &str, topic: &str, pool: &Pool) -> Result<Self> {
        let outlet = match mode {
            Mode::Cdc => return Ok(Self::Cdc),
            Mode::Direct => Self::Direct(Producer::new(brokers, topic)?),
            Mode::Polling => {
                let producer = Producer::new(brokers, topic)?;
                Self::Polling(Polling::new(pool.clone(), producer))
            }
        };
        // Not needed to save a post: this service also starts while Kafka is away.
        if let Err(error) = sns::topic::ensure(brokers, topic).await {
            tracing::warn!("{error:#}");
        }
        Ok(outlet)
    }

    /// What belongs to the transaction of the post.
    pub(crate) async fn before_commit(
        &self,
        transaction: &Transaction<'_>,
        event: &PostCreated,
    ) -> Result<()> {
        match self {
            Self::Direct(_) => {}
            Self::Polling(_) => {
                let row: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
                    [&event.author_id.0, &Json(event)];
                transaction.execute(KEEP, &row).await?;
            }
            Self::Cdc => {
                let author = event.author_id.to_string();
                transaction
                    .query_one(EMIT, &[&author, &Json(event)])
                    .await?;
            }
        }
        Ok(())
    }

    /// What comes after it. The post is saved: whatever goes wrong here cannot be undone.
    pub(crate) async fn after_commit(&self, event: &PostCreated) {
        let Self::Direct(producer) = self else { return };
        let sent = match serde_json::to_string(event) {
            Ok(text) => producer.send(event.author_id, &text).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = sent {
            tracing::error!(
                event_id = %event.event_id,
                error = format!("{error:#}"),
                "the post is saved, but its event is lost"
            );
        }
    }

    /// What goes on beside the requests, until the token is cancelled.
    pub(crate) async fn run(&self, stop: CancellationToken) -> Result<()> {
        match self {
            Self::Direct(_) | Self::Cdc => {}
            Self::Polling(polling) => polling.run(stop).await,
        }
        Ok(())
    }
}
