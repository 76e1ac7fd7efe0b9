//! What endpoints answered, request by request.

use std::time::{Duration, SystemTime};

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::Deliveries;
use crate::endpoint::EndpointId;
use crate::error::Error;
use crate::session::column;

/// A request to an endpoint that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastAttempt {
    /// The event, as `webhook-id` has it.
    pub event_id: String,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// When it was over.
    pub at: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// The answer.
    pub status: Option<u16>,
    /// Why it did not arrive.
    pub code: Option<String>,
    /// The beginning of the answer, if it did not arrive.
    pub excerpt: Option<String>,
}

impl Deliveries {
    /// The last `limit` requests that were kept, of one event or of all, to one endpoint or to all, the newest first.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`], [`Error::Unreadable`].
    pub async fn attempts(
        &mut self,
        event_id: Option<&str>,
        endpoint: Option<&EndpointId>,
        limit: u32,
    ) -> Result<Vec<PastAttempt>, Error> {
        const SQL: &str = "
            SELECT event_id, endpoint_id, at, milliseconds, status, code, excerpt FROM cdc.attempt
             WHERE ($1 IS NULL OR event_id = $1) AND ($2 IS NULL OR endpoint_id = $2)
             ORDER BY at DESC, epoch DESC LIMIT $3";
        let (endpoint, limit) = (endpoint.map(EndpointId::as_str), i64::from(limit));
        let parameters = [
            (&event_id as _, Type::TEXT),
            (&endpoint as _, Type::TEXT),
            (&limit as _, Type::INT8),
        ];
        let rows = self
            .session
            .query("read past requests", SQL, &parameters)
            .await?;
        rows.iter().map(past_attempt).collect()
    }
}

fn past_attempt(row: &Row) -> Result<PastAttempt, Error> {
    let endpoint: &str = column(row, "endpoint_id")?;
    let (milliseconds, status): (i32, Option<i32>) =
        (column(row, "milliseconds")?, column(row, "status")?);
    Ok(PastAttempt {
        event_id: column(row, "event_id")?,
        endpoint: EndpointId::new(endpoint)
            .map_err(|error| Error::unreadable("endpoint_id", error))?,
        at: column(row, "at")?,
        took: Duration::from_millis(u64::from(milliseconds.unsigned_abs())),
        status: status.and_then(|status| u16::try_from(status).ok()),
        code: column(row, "code")?,
        excerpt: column(row, "excerpt")?,
    })
}
