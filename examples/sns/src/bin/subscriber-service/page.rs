//! The page, in one file: no build step, no network but this service.

use axum::http::header::CACHE_CONTROL;
use axum::response::{Html, IntoResponse};

const PAGE: &str = include_str!("page.html");

pub(crate) async fn page() -> impl IntoResponse {
    ([(CACHE_CONTROL, "no-cache")], Html(PAGE))
}
