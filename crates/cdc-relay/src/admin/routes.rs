//! What the admin server answers.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;

use super::roles::{Report, Roles};
use crate::relay_state::Unwell;

#[derive(Clone)]
struct Shared {
    roles: Roles,
    metrics: PrometheusHandle,
}

pub(super) fn router(roles: Roles, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route("/metrics", get(render_metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/status", get(status))
        .with_state(Shared { roles, metrics })
}

async fn render_metrics(State(shared): State<Shared>) -> Response {
    shared.roles.observe();
    let text = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (text, shared.metrics.render()).into_response()
}

async fn healthz(State(shared): State<Shared>) -> Response {
    verdict(shared.roles.alive())
}

async fn readyz(State(shared): State<Shared>) -> Response {
    verdict(shared.roles.ready())
}

async fn status(State(shared): State<Shared>) -> Json<Report> {
    Json(shared.roles.report())
}

fn verdict(checked: Result<(), Unwell>) -> Response {
    match checked {
        Ok(()) => Json(json!({ "status": "ok" })).into_response(),
        Err(Unwell { reason }) => {
            let body = Json(json!({ "status": "unavailable", "reason": reason }));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}
