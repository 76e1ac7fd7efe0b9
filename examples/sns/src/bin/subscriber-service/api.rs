//! The service's HTTP.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse, Response, Sse};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::{Stream, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use sns::event::MemberId;
use sns::problem::{Problem, text};
use tokio_util::sync::CancellationToken;

use crate::live::News;
use crate::members::{Format, Member, Members};
use crate::page::page;
use crate::webhooks::Webhooks;

const MAX_NICKNAME: usize = 40;
const MAX_URL: usize = 2_000;

#[derive(Clone)]
struct Api {
    members: Members,
    webhooks: Webhooks,
    news: News,
    stop: CancellationToken,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Joining {
    nickname: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Subscribing {
    author_id: MemberId,
    webhook_url: String,
    format: Format,
}

pub(crate) fn router(
    members: Members,
    webhooks: Webhooks,
    news: News,
    stop: &CancellationToken,
) -> Router {
    let stop = stop.clone();
    Router::new()
        .route("/", get(page))
        .route("/members", post(join))
        .route("/subscriptions", post(subscribe))
        .route("/state", get(state))
        .route("/events", get(events))
        .route("/webhooks", get(webhooks_so_far))
        .route("/webhooks/events", get(webhooks_live))
        .with_state(Api {
            members,
            webhooks,
            news,
            stop,
        })
}

async fn join(
    State(api): State<Api>,
    Json(body): Json<Joining>,
) -> Result<(StatusCode, Json<Member>), Problem> {
    let nickname = text(
        &body.nickname,
        MAX_NICKNAME,
        "a nickname has 1 to 40 characters",
    )?;
    Ok((StatusCode::CREATED, Json(api.members.join(nickname).await?)))
}

async fn subscribe(
    State(api): State<Api>,
    Json(body): Json<Subscribing>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    const URL: &str = "a webhookUrl is http:// or https:// with a host";
    let url = text(&body.webhook_url, MAX_URL, URL)?;
    let parsed: Uri = url.parse().map_err(|_| Problem::Invalid(URL))?;
    if !matches!(parsed.scheme_str(), Some("http" | "https")) || parsed.host().is_none() {
        return Err(Problem::Invalid(URL));
    }
    let endpoint = api
        .members
        .subscribe(body.author_id, &url, body.format)
        .await?;
    Ok((StatusCode::CREATED, Json(json!({ "endpoint": endpoint }))))
}

async fn state(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    Ok(Json(api.members.state().await?))
}

async fn events(State(api): State<Api>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let until_stop = api.news.events().take_until(api.stop.cancelled_owned());
    Sse::new(until_stop).keep_alive(KeepAlive::default())
}

async fn webhooks_so_far(State(api): State<Api>) -> Result<Response, Problem> {
    let (kind, body) = api.webhooks.get("/received").await?;
    Ok(([(CONTENT_TYPE, kind)], body).into_response())
}

async fn webhooks_live(State(api): State<Api>) -> Result<Response, Problem> {
    let (kind, body) = api.webhooks.get("/events").await?;
    let until_stop = body
        .into_data_stream()
        .take_until(api.stop.cancelled_owned());
    Ok(([(CONTENT_TYPE, kind)], Body::from_stream(until_stop)).into_response())
}
