//! The receiver's HTTP.

use std::convert::Infallible;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::{Stream, StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use sns::problem::{Problem, text};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::received::{Answer, Received};

/// The largest body, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// The longest name of a hook, in characters.
const MAX_NAME: usize = 64;

/// For how long a hook that hangs keeps the connection.
const HANG: Duration = Duration::from_secs(60);

#[derive(Clone)]
struct Api {
    received: Received,
    stop: CancellationToken,
}

#[derive(Deserialize)]
struct Switch {
    answer: Answer,
}

pub(crate) fn router(received: Received, stop: &CancellationToken) -> Router {
    let stop = stop.clone();
    Router::new()
        .route("/hook/{name}", post(take).put(switch))
        .route("/received", get(all))
        .route("/events", get(events))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Api { received, stop })
}

async fn take(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let hook = hook(&name)?;
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok());
    let id = id.ok_or(Problem::Invalid("a webhook has the header webhook-id"))?;
    let body = String::from_utf8_lossy(&body).into_owned();
    match api.received.take(hook, id.to_owned(), body, now_ms()) {
        Answer::Ok => Ok(StatusCode::OK),
        Answer::Fail => Ok(StatusCode::SERVICE_UNAVAILABLE),
        Answer::Hang => {
            // Either way the caller has no answer that means anything.
            let hang = tokio::time::timeout(HANG, api.stop.cancelled());
            drop(hang.await);
            Ok(StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

async fn switch(
    State(api): State<Api>,
    Path(name): Path<String>,
    Json(switch): Json<Switch>,
) -> Result<StatusCode, Problem> {
    if api.received.answer(hook(&name)?, switch.answer) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::Invalid("too many hooks"))
    }
}

async fn all(State(api): State<Api>) -> Json<Value> {
    Json(json!({ "webhooks": api.received.all() }))
}

/// Each webhook as it comes. Who falls too far behind is told to ask for all.
async fn events(State(api): State<Api>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let listener = api.received.listen();
    let webhooks = stream::unfold(listener, |mut listener| async {
        let event = match listener.recv().await {
            Ok(webhook) => Event::default()
                .json_data(webhook)
                .unwrap_or_else(|_| Event::default().event("missed")),
            Err(RecvError::Lagged(_)) => Event::default().event("missed").data("ask for all"),
            Err(RecvError::Closed) => return None,
        };
        Some((Ok(event), listener))
    });
    let until_stop = webhooks.take_until(api.stop.cancelled_owned());
    Sse::new(until_stop).keep_alive(KeepAlive::default())
}

fn hook(name: &str) -> Result<String, Problem> {
    text(name, MAX_NAME, "the name of a hook has 1 to 64 characters")
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
