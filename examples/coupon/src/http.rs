//! What can be asked over HTTP.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use recovery::Status;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::consumers::Statuses;
use crate::coupons::Coupons;
use crate::desk::{Answer, Desk};
use crate::numbers::UserId;
use crate::switches::Switches;

/// What the requests are about.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) desk: Arc<Desk>,
    pub(crate) switches: Arc<Switches>,
    pub(crate) statuses: Statuses,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Application {
    user_id: UserId,
}

#[derive(Debug, Deserialize)]
struct Switch {
    on: bool,
}

#[derive(Debug, Deserialize)]
struct Discount {
    percent: i32,
}

/// What went wrong; the caller may try again.
struct Unavailable(anyhow::Error);

/// All routes. `/admin` is for the story; it would be nowhere that users can reach.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/status", get(status))
        .route("/coupon/apply", post(apply))
        .route("/admin/fail-odd", post(fail_odd))
        .route("/admin/fail-dlt", post(fail_dlt))
        .route("/admin/discount", post(discount))
        .with_state(app)
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn apply(
    State(app): State<App>,
    Json(application): Json<Application>,
) -> Result<Response, Unavailable> {
    let (status, answer) = match app.desk.apply(application.user_id).await? {
        Answer::Accepted(sequence) => (
            StatusCode::ACCEPTED,
            json!({"result": "accepted", "sequence": sequence}),
        ),
        Answer::AlreadyApplied(sequence) => (
            StatusCode::OK,
            json!({"result": "already applied", "sequence": sequence}),
        ),
        Answer::SoldOut => (StatusCode::CONFLICT, json!({"result": "sold out"})),
    };
    Ok((status, Json(answer)).into_response())
}

async fn status(State(app): State<App>) -> Result<Json<Value>, Unavailable> {
    let campaign = Coupons(app.desk.database()).campaign().await?;
    Ok(Json(json!({
        "campaign": campaign,
        "events": app.desk.announcing().way(),
        "requests": consumer(&app.statuses.requests),
        "dead_letters": consumer(&app.statuses.dead_letters),
    })))
}

fn consumer(status: &Status) -> Value {
    let now = status.snapshot();
    json!({
        "partitions": now.partitions,
        "retry_partitions": now.retry_partitions,
        "held": now.held,
        "succeeded": now.succeeded,
        "retried": now.retried,
        "dead_letters": now.dead_letters,
    })
}

async fn fail_odd(State(app): State<App>, Json(switch): Json<Switch>) -> StatusCode {
    app.switches.fail_odd(switch.on);
    StatusCode::NO_CONTENT
}

async fn fail_dlt(State(app): State<App>, Json(switch): Json<Switch>) -> StatusCode {
    app.switches.fail_dlt(switch.on);
    StatusCode::NO_CONTENT
}

async fn discount(
    State(app): State<App>,
    Json(Discount { percent }): Json<Discount>,
) -> Result<StatusCode, Unavailable> {
    if !(1..=100).contains(&percent) {
        return Ok(StatusCode::UNPROCESSABLE_ENTITY);
    }
    Coupons(app.desk.database()).set_discount(percent).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<anyhow::Error> for Unavailable {
    fn from(error: anyhow::Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        tracing::warn!("a request cannot be answered: {:#}", self.0);
        let told = json!({"error": "try again"});
        (StatusCode::SERVICE_UNAVAILABLE, Json(told)).into_response()
    }
}
