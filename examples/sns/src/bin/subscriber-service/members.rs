//! Members, and who subscribed to whom.

use anyhow::Result;
use deadpool_postgres::Pool;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sns::event::MemberId;
use sns::problem::Problem;
use tokio_postgres::error::SqlState;

use crate::live::News;

const JOIN: &str = "INSERT INTO sns.member (nickname) VALUES ($1) RETURNING id";

const SUBSCRIBE: &str =
    "INSERT INTO sns.subscription (author_id, format) VALUES ($1, $2) RETURNING endpoint_id";

/// What cdc-relay needs to know to send webhooks: where to, and of whose posts.
const ENDPOINT: &str =
    "INSERT INTO cdc.endpoint (id, url, format, guarantee) VALUES ($1, $2, $3, $4)";
const SUBJECT: &str = "INSERT INTO cdc.subscription (endpoint_id, subject) VALUES ($1, $2)";

/// Everything that the page shows, in one answer of bounded size.
const STATE: &str = "SELECT json_build_object(
    'members', (SELECT coalesce(json_agg(json_build_object('id', id, 'nickname', nickname) ORDER BY id), '[]')
                  FROM (SELECT * FROM sns.member ORDER BY id LIMIT 200) AS member),
    'subscriptions', (SELECT coalesce(json_agg(json_build_object(
                          'endpoint', endpoint_id, 'authorId', author_id, 'format', endpoint.format, 'url', url)
                          ORDER BY subscription.id), '[]')
                        FROM (SELECT * FROM sns.subscription ORDER BY id LIMIT 200) AS subscription
                        JOIN cdc.endpoint ON endpoint.id = endpoint_id),
    'posts', (SELECT coalesce(json_agg(json_build_object(
                  'id', id, 'eventId', event_id, 'authorId', author_id, 'title', title, 'content', content,
                  'createdAt', created_at, 'notified', notified.event_id IS NOT NULL) ORDER BY id DESC), '[]')
                FROM (SELECT * FROM sns.post ORDER BY id DESC LIMIT 100) AS post
                LEFT JOIN sns.notified USING (event_id)))";

/// The form of a subscriber's webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// For programs.
    Json,
    /// For a chat room of JANDI.
    Jandi,
}

/// Somebody who joined.
#[derive(Serialize)]
pub(crate) struct Member {
    id: MemberId,
    nickname: String,
}

/// Members and subscriptions in the database.
#[derive(Clone)]
pub(crate) struct Members {
    pool: Pool,
    news: News,
}

impl Format {
    const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Jandi => "jandi",
        }
    }

    /// A program tells a repetition by its `webhook-id`. In a chat room it would be a second message.
    const fn guarantee(self) -> &'static str {
        match self {
            Self::Json => "at_least_once",
            Self::Jandi => "at_most_once",
        }
    }
}

impl Members {
    pub(crate) fn new(pool: Pool, news: News) -> Self {
        Self { pool, news }
    }

    /// A member more.
    pub(crate) async fn join(&self, nickname: String) -> Result<Member, Problem> {
        let client = self.pool.get().await?;
        let row = match client.query_one(JOIN, &[&nickname]).await {
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                return Err(Problem::Invalid("somebody has that nickname already"));
            }
            joined => joined?,
        };
        self.news.tell();
        let id = MemberId(row.get(0));
        Ok(Member { id, nickname })
    }

    /// From now on, `url` hears of the author's posts. Returns the endpoint's name.
    pub(crate) async fn subscribe(
        &self,
        author: MemberId,
        url: &str,
        format: Format,
    ) -> Result<String> {
        let mut client = self.pool.get().await?;
        let transaction = client.transaction().await?;
        let row = transaction
            .query_one(SUBSCRIBE, &[&author.0, &format.name()])
            .await?;
        let endpoint: String = row.get(0);
        let guarantee = format.guarantee();
        transaction
            .execute(ENDPOINT, &[&endpoint, &url, &format.name(), &guarantee])
            .await?;
        // The key of a notification is its author.
        transaction
            .execute(SUBJECT, &[&endpoint, &author.to_string()])
            .await?;
        transaction.commit().await?;
        self.news.tell();
        Ok(endpoint)
    }

    /// Members, subscriptions and the newest posts.
    pub(crate) async fn state(&self) -> Result<Value> {
        let client = self.pool.get().await?;
        Ok(client.query_one(STATE, &[]).await?.get(0))
    }
}
