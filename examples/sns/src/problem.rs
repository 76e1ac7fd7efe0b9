//! What a request is answered when it fails.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request was not done.
#[derive(Debug)]
pub enum Problem {
    /// It asks for something that cannot be: 422, with what is wrong.
    Invalid(&'static str),
    /// Something that is needed does not work: 503. The cause is logged, not told.
    Unavailable(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Self::Invalid(reason) => (StatusCode::UNPROCESSABLE_ENTITY, reason),
            Self::Unavailable(error) => {
                tracing::error!(error = format!("{error:#}"), "a request failed");
                (StatusCode::SERVICE_UNAVAILABLE, "not available, try again")
            }
        };
        (status, Json(json!({ "error": error }))).into_response()
    }
}

/// Checks a text that somebody typed: trimmed, neither empty nor longer than `max` characters.
///
/// # Errors
///
/// [`Problem::Invalid`] with `otherwise`.
pub fn text(text: &str, max: usize, otherwise: &'static str) -> Result<String, Problem> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > max {
        return Err(Problem::Invalid(otherwise));
    }
    Ok(text.to_owned())
}
