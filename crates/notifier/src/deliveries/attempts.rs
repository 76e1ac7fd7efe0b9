//! What endpoints answered, request by request.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{Deliveries, seconds};
use crate::endpoint::EndpointId;
use crate::error::Error;
use crate::session::{Parameter, column};

/// Which requests are meant: those for which everything that is given holds. The default means all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AttemptFilter {
    /// They were about this event, as `webhook-id` has it.
    pub event_id: Option<String>,
    /// They went to this endpoint.
    pub endpoint: Option<EndpointId>,
    /// This is why they did not arrive.
    pub code: Option<String>,
    /// They were answered so.
    pub status: Option<Statuses>,
    /// They were over longer ago than this.
    pub older_than: Option<Duration>,
    /// They were over since this long ago.
    pub newer_than: Option<Duration>,
}

/// Statuses of answers: one, or all that begin with the same digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statuses {
    first: u16,
    last: u16,
}

/// A text that is no status and no class of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a status such as 503, or a class such as 5xx")]
pub struct InvalidStatuses;

/// Tells a request from all others, and says when it was over, by which they are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptPlace {
    /// When it was over.
    pub at: SystemTime,
    /// The claim of its delivery that it was made under: one request each.
    pub epoch: i64,
    /// The event, as `webhook-id` has it.
    pub event_id: String,
    /// The endpoint.
    pub endpoint: EndpointId,
}

/// A request to an endpoint that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastAttempt {
    /// The event, as `webhook-id` has it.
    pub event_id: String,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The claim of its delivery that it was made under: one request each.
    pub epoch: i64,
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
    /// The last `limit` requests that were kept and that `filter` means, the newest first. With `after`, those that come
    /// after that one in this order.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`], [`Error::Unreadable`].
    pub async fn attempts(
        &mut self,
        filter: &AttemptFilter,
        after: Option<&AttemptPlace>,
        limit: u32,
    ) -> Result<Vec<PastAttempt>, Error> {
        const SQL: &str = "
            SELECT event_id, endpoint_id, epoch, at, milliseconds, status, code, excerpt FROM cdc.attempt
             WHERE ($1 IS NULL OR event_id = $1) AND ($2 IS NULL OR endpoint_id = $2)
               AND ($3 IS NULL OR code = $3) AND ($4 IS NULL OR status BETWEEN $4 AND $5)
               AND ($6 IS NULL OR at < now() - make_interval(secs => $6))
               AND ($7 IS NULL OR at >= now() - make_interval(secs => $7))
               AND ($8 IS NULL OR (at, epoch, event_id, endpoint_id) < ($8, $9, $10, $11))
             ORDER BY at DESC, epoch DESC, event_id DESC, endpoint_id DESC LIMIT $12";
        let endpoint = filter.endpoint.as_ref().map(EndpointId::as_str);
        let first = filter.status.map(|statuses| i32::from(statuses.first));
        let last = filter.status.map(|statuses| i32::from(statuses.last));
        let (older, newer) = (
            filter.older_than.map(seconds),
            filter.newer_than.map(seconds),
        );
        let (at, epoch) = (after.map(|key| key.at), after.map(|key| key.epoch));
        let event = after.map(|key| key.event_id.as_str());
        let to = after.map(|key| key.endpoint.as_str());
        let limit = i64::from(limit);
        let parameters: [Parameter<'_>; 12] = [
            (&filter.event_id, Type::TEXT),
            (&endpoint, Type::TEXT),
            (&filter.code, Type::TEXT),
            (&first, Type::INT4),
            (&last, Type::INT4),
            (&older, Type::FLOAT8),
            (&newer, Type::FLOAT8),
            (&at, Type::TIMESTAMPTZ),
            (&epoch, Type::INT8),
            (&event, Type::TEXT),
            (&to, Type::TEXT),
            (&limit, Type::INT8),
        ];
        let rows = self
            .session
            .query("read past requests", SQL, &parameters)
            .await?;
        rows.iter().map(past_attempt).collect()
    }
}

impl PastAttempt {
    /// Where it stands in a list.
    #[must_use]
    pub fn place(&self) -> AttemptPlace {
        AttemptPlace {
            at: self.at,
            epoch: self.epoch,
            event_id: self.event_id.clone(),
            endpoint: self.endpoint.clone(),
        }
    }
}

impl FromStr for Statuses {
    type Err = InvalidStatuses;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let class = text.strip_suffix("xx");
        let (digits, more) = class.map_or((text, 1), |digits| (digits, 100));
        let first: u16 = digits.parse().map_err(|_| InvalidStatuses)?;
        let first = first.checked_mul(more).ok_or(InvalidStatuses)?;
        // What HTTP has, and what servers make up.
        if !(100..=999).contains(&first) {
            return Err(InvalidStatuses);
        }
        let last = first + more - 1;
        Ok(Self { first, last })
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
        epoch: column(row, "epoch")?,
        at: column(row, "at")?,
        took: Duration::from_millis(u64::from(milliseconds.unsigned_abs())),
        status: status.and_then(|status| u16::try_from(status).ok()),
        code: column(row, "code")?,
        excerpt: column(row, "excerpt")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_number_or_a_class() {
        let statuses = |first, last| Ok(Statuses { first, last });
        assert_eq!("503".parse(), statuses(503, 503));
        assert_eq!("5xx".parse(), statuses(500, 599));
        assert_eq!("9xx".parse(), statuses(900, 999));
        for text in [
            "", "xx", "5x", "5XX", "0xx", "10xx", "99", "1000", "-1", "65535xx",
        ] {
            assert_eq!(text.parse::<Statuses>(), Err(InvalidStatuses), "{text:?}");
        }
    }
}
