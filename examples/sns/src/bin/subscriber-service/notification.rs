//! What is done with a post: its author's subscribers are told, once.

use cdc_event::{Attempt, ErrorCode, Failure, Handler, HandlerError, Record};
use deadpool_postgres::{Pool, PoolError};
use serde_json::json;
use sns::event::{MemberId, PostCreated};
use tokio_postgres::types::Json;

use crate::live::News;

/// Nothing is written if the event was dealt with before.
const REMEMBER: &str =
    "INSERT INTO sns.notified (event_id) VALUES ($1::text::uuid) ON CONFLICT DO NOTHING";

const NICKNAME: &str = "SELECT nickname FROM sns.member WHERE id = $1";

/// The notification has the event's id: it becomes the `webhook-id`, by which receivers tell a repetition.
const EMIT: &str = "SELECT cdc.emit('post-notification', $1::text, 'PostNotification', $2::json, id => $3::text::uuid)";

/// The handler of `post-create`.
pub(crate) struct Notification {
    pool: Pool,
    news: News,
}

/// Why a post was not dealt with.
#[derive(Debug, thiserror::Error)]
enum NotifyError {
    #[error("the value is no event of a post")]
    Malformed(#[source] serde_json::Error),
    #[error("member {0} is not known yet")]
    UnknownAuthor(MemberId),
    #[error("no connection to PostgreSQL")]
    Connection(#[from] PoolError),
    #[error("PostgreSQL refused")]
    Database(#[from] tokio_postgres::Error),
}

impl Notification {
    pub(crate) fn new(pool: Pool, news: News) -> Self {
        Self { pool, news }
    }

    /// One transaction: that the event was dealt with, and what follows from it. Both are there or none is.
    async fn notify(&self, record: &Record) -> Result<(), NotifyError> {
        let value = record.value.as_deref().unwrap_or_default();
        let event: PostCreated = serde_json::from_slice(value).map_err(NotifyError::Malformed)?;
        let id = event.event_id.as_str();
        let mut client = self.pool.get().await?;
        let transaction = client.transaction().await?;
        if transaction.execute(REMEMBER, &[&id]).await? == 0 {
            return Ok(());
        }
        let author = transaction
            .query_opt(NICKNAME, &[&event.author_id.0])
            .await?
            .ok_or(NotifyError::UnknownAuthor(event.author_id))?;
        let nickname: &str = author.get(0);
        let notification = json!({
            "eventId": id,
            "postId": event.post_id,
            "authorId": event.author_id,
            "nickname": nickname,
            "title": event.title,
            // What chat services show below the title.
            "text": format!("A new post by {nickname}"),
        });
        let subject = event.author_id.to_string();
        transaction
            .query_one(EMIT, &[&subject, &Json(&notification), &id])
            .await?;
        transaction.commit().await?;
        self.news.tell();
        Ok(())
    }
}

impl Handler for Notification {
    async fn handle(&self, record: &Record, _: Attempt) -> Result<(), Failure> {
        self.notify(record).await.map_err(Failure::from)
    }
}

impl From<NotifyError> for Failure {
    /// The one place that decides what is tried again.
    fn from(error: NotifyError) -> Self {
        let message = error.to_string();
        let told = |code| HandlerError::new(ErrorCode::from_static(code), message);
        match error {
            NotifyError::Malformed(cause) => Self::poison(told("post-malformed").caused_by(cause)),
            // The member may have been saved a moment later, by somebody else.
            NotifyError::UnknownAuthor(_) => Self::transient(told("author-unknown")),
            NotifyError::Connection(cause) => Self::transient(told("database").caused_by(cause)),
            NotifyError::Database(cause) => Self::transient(told("database").caused_by(cause)),
        }
    }
}
