//! The service's HTTP.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use sns::event::MemberId;
use sns::problem::{Problem, text};

use crate::posts::{NewPost, Post, Posts};

const MAX_TITLE: usize = 200;
const MAX_CONTENT: usize = 10_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Body {
    author_id: MemberId,
    title: String,
    content: String,
}

pub(crate) fn router(posts: Posts) -> Router {
    Router::new()
        .route("/posts", get(list).post(create))
        .with_state(posts)
}

async fn create(
    State(posts): State<Posts>,
    Json(body): Json<Body>,
) -> Result<(StatusCode, Json<Post>), Problem> {
    let new = NewPost {
        author_id: body.author_id,
        title: text(&body.title, MAX_TITLE, "a title has 1 to 200 characters")?,
        content: text(
            &body.content,
            MAX_CONTENT,
            "a content has 1 to 10,000 characters",
        )?,
    };
    Ok((StatusCode::CREATED, Json(posts.create(new).await?)))
}

async fn list(State(posts): State<Posts>) -> Result<Json<Vec<Post>>, Problem> {
    Ok(Json(posts.list().await?))
}
