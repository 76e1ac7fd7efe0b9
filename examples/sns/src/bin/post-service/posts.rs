//! Posts in the database.

use anyhow::Result;
use deadpool_postgres::Pool;
use serde::Serialize;
use sns::event::{EventId, MemberId, PostCreated, PostId};

use crate::outlet::Outlet;

/// The most posts that are shown.
const NEWEST: i64 = 100;

const INSERT: &str = "INSERT INTO sns.post (author_id, title, content) VALUES ($1, $2, $3)
                      RETURNING id, event_id::text";

const LIST: &str =
    "SELECT id, event_id::text, author_id, title, content FROM sns.post ORDER BY id DESC LIMIT $1";

/// A post that was checked.
pub(crate) struct NewPost {
    pub(crate) author_id: MemberId,
    pub(crate) title: String,
    pub(crate) content: String,
}

/// A post that is saved.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Post {
    id: PostId,
    event_id: EventId,
    author_id: MemberId,
    title: String,
    content: String,
}

/// Saves posts and lists them.
#[derive(Clone)]
pub(crate) struct Posts {
    pool: Pool,
    outlet: Outlet,
    crash_after_commit: bool,
}

impl Posts {
    pub(crate) fn new(pool: Pool, outlet: Outlet, crash_after_commit: bool) -> Self {
        Self {
            pool,
            outlet,
            crash_after_commit,
        }
    }

    /// Saves a post, and announces it as the mode says.
    pub(crate) async fn create(&self, new: NewPost) -> Result<Post> {
        let NewPost {
            author_id,
            title,
            content,
        } = new;
        let mut client = self.pool.get().await?;
        let transaction = client.transaction().await?;
        let row = transaction
            .query_one(INSERT, &[&author_id.0, &title, &content])
            .await?;
        let event = PostCreated {
            event_id: row.get::<_, String>(1).try_into()?,
            post_id: PostId(row.get(0)),
            author_id,
            title: title.clone(),
        };
        self.outlet.before_commit(&transaction, &event).await?;
        transaction.commit().await?;
        // Others may have the connection while Kafka is waited for.
        drop(client);
        if self.crash_after_commit {
            tracing::error!("crashing between commit and send, as I was told");
            std::process::abort();
        }
        self.outlet.after_commit(&event).await;
        Ok(Post {
            id: event.post_id,
            event_id: event.event_id,
            author_id,
            title,
            content,
        })
    }

    /// The newest posts, the newest first.
    pub(crate) async fn list(&self) -> Result<Vec<Post>> {
        let client = self.pool.get().await?;
        let rows = client.query(LIST, &[&NEWEST]).await?;
        rows.iter()
            .map(|row| {
                Ok(Post {
                    id: PostId(row.get(0)),
                    event_id: row.get::<_, String>(1).try_into()?,
                    author_id: MemberId(row.get(2)),
                    title: row.get(3),
                    content: row.get(4),
                })
            })
            .collect()
    }
}
