//! How many failures there are, and of what kinds.

use std::time::SystemTime;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::FailedEvents;
use super::row::{column, parsed};
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::status::Status;

/// How many failures there are, and of what kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// One for each status, in the order of [`Status::ALL`].
    pub statuses: Vec<StatusCount>,
    /// The troubles that have open or replaying events, the most events first.
    pub groups: Vec<Group>,
}

/// The events of one status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusCount {
    /// The status.
    pub status: Status,
    /// How many events have it.
    pub events: u64,
    /// Bytes of their payloads.
    pub payload_bytes: u64,
    /// The earliest last failure of one of them.
    pub oldest: Option<SystemTime>,
}

/// The unsettled events that failed for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The reason.
    pub fingerprint: Fingerprint,
    /// The slot or the consumer group.
    pub scope: String,
    /// The topic that it is about; `None` when no record could be made.
    pub topic: Option<String>,
    /// The error's code.
    pub code: String,
    /// The error's message, of the event that failed last.
    pub message: String,
    /// How many events.
    pub events: u64,
    /// The first failure of any of them.
    pub first_failed_at: SystemTime,
    /// The last failure of any of them.
    pub last_failed_at: SystemTime,
}

impl FailedEvents {
    /// Counts all failures by status, and the unsettled ones by reason, at most `groups` reasons.
    ///
    /// Reads the whole table. Cancel safe.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`], [`Error::Unreadable`].
    pub async fn stats(&mut self, groups: u32) -> Result<Stats, Error> {
        let client = self.client().await?;
        let count = Error::while_("count failed events");
        let counted = client
            .query_typed(
                "SELECT known.status, count(event.id) AS events,
                        coalesce(sum(octet_length(event.payload)), 0)::bigint AS payload_bytes,
                        min(event.last_failed_at) AS oldest
                   FROM unnest($1) WITH ORDINALITY AS known (status, place)
                   LEFT JOIN cdc.failed_event AS event USING (status)
                  GROUP BY known.status, known.place ORDER BY known.place",
                &[(
                    &Status::ALL.map(Status::as_str).as_slice(),
                    Type::TEXT_ARRAY,
                )],
            )
            .await
            .map_err(&count)?;
        let grouped = client
            .query_typed(
                "SELECT fingerprint, min(coalesce(slot, consumer_group)) AS scope,
                        min(coalesce(origin_topic, topic)) AS topic, min(error_code) AS code,
                        (array_agg(error_message ORDER BY last_failed_at DESC))[1] AS message,
                        count(*) AS events, min(first_failed_at) AS first_failed_at,
                        max(last_failed_at) AS last_failed_at
                   FROM cdc.failed_event WHERE status IN ('open', 'replaying')
                  GROUP BY fingerprint ORDER BY events DESC, last_failed_at DESC LIMIT $1",
                &[(&i64::from(groups), Type::INT8)],
            )
            .await
            .map_err(&count)?;
        Ok(Stats {
            statuses: counted.iter().map(status_count).collect::<Result<_, _>>()?,
            groups: grouped.iter().map(group).collect::<Result<_, _>>()?,
        })
    }
}

fn status_count(row: &Row) -> Result<StatusCount, Error> {
    Ok(StatusCount {
        status: parsed(row, "status")?,
        events: column::<i64>(row, "events")?.unsigned_abs(),
        payload_bytes: column::<i64>(row, "payload_bytes")?.unsigned_abs(),
        oldest: column(row, "oldest")?,
    })
}

fn group(row: &Row) -> Result<Group, Error> {
    Ok(Group {
        fingerprint: Fingerprint::from_text(column::<String>(row, "fingerprint")?),
        scope: column(row, "scope")?,
        topic: column(row, "topic")?,
        code: column(row, "code")?,
        message: column(row, "message")?,
        events: column::<i64>(row, "events")?.unsigned_abs(),
        first_failed_at: column(row, "first_failed_at")?,
        last_failed_at: column(row, "last_failed_at")?,
    })
}
