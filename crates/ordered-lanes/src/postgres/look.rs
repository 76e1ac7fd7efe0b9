//! What the lanes look like, for operators and metrics.

use std::time::{Duration, SystemTime};

use cdc_event::{KafkaPosition, PartId};
use cdc_store::ErrorReport;
use tokio_postgres::types::Type;

use super::PostgresLanes;
use super::row::{column, part, position};
use crate::error::Error;
use crate::remainder::EventStatus;
use crate::store::LaneEventId;

/// Figures of the lanes of a group, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LaneStats {
    /// Keys with something in their lane.
    pub open_lanes: u64,
    /// Those of them that wait for an operator, as their head was given up.
    pub held_lanes: u64,
    /// Events in lanes.
    pub waiting_events: u64,
    /// Events that were given up and are not in a lane any more.
    pub dead_events: u64,
    /// For how long the lane that is due the longest is due; zero when none is.
    pub overdue: Duration,
    /// For how long the lane that is open the longest is open; zero when none is.
    pub oldest: Duration,
}

/// An event that was given up, without its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadEvent {
    /// Its number.
    pub id: LaneEventId,
    /// Where it was read.
    pub origin: KafkaPosition,
    /// The part of it that is left to do.
    pub part: Option<PartId>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// How it stands: never [`EventStatus::Open`].
    pub status: EventStatus,
    /// How often it was tried.
    pub attempts: u32,
    /// When it failed last; `None` for what was given up with the one before it.
    pub last_failed_at: Option<SystemTime>,
    /// Why; as above.
    pub error: Option<ErrorReport>,
    /// How many events wait behind it.
    pub behind: u64,
}

const STATS: &str = "\
    SELECT count(*) FILTER (WHERE events > 0) AS open_lanes,
           count(*) FILTER (WHERE events > 0 AND due_at IS NULL) AS held_lanes,
           coalesce(sum(events), 0)::bigint AS waiting_events,
           (SELECT count(*) FROM cdc.lane_event
             WHERE consumer_group = $1 AND status IN ('skipped', 'dead_lettered')) AS dead_events,
           greatest(extract(epoch FROM now() - min(due_at) FILTER (WHERE lease_token IS NULL)), 0)::float8 AS overdue,
           greatest(extract(epoch FROM now() - min(opened_at) FILTER (WHERE events > 0)), 0)::float8 AS oldest
      FROM cdc.lane
     WHERE consumer_group = $1";

const DEAD: &str = "\
    SELECT event.id, event.origin_topic, event.origin_partition, event.origin_offset, event.part, event.key,
           event.status, event.attempts, event.last_failed_at, event.error_code, event.error_message,
           event.error_chain,
           CASE event.status WHEN 'held' THEN greatest(coalesce(lane.events, 0) - 1, 0) ELSE 0 END AS behind
      FROM cdc.lane_event AS event
      LEFT JOIN cdc.lane ON lane.id = event.lane_id
     WHERE event.consumer_group = $1 AND event.status <> 'open'
     ORDER BY event.last_failed_at DESC NULLS LAST, event.id
     LIMIT $2";

impl PostgresLanes {
    /// Figures of a group's lanes. It reads all of them: for a few times a minute.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`], [`Error::Unreadable`].
    pub async fn stats(&self, group: &str) -> Result<LaneStats, Error> {
        let client = self.client().await?;
        let rows = client
            .query_typed(STATS, &[(&group, Type::TEXT)])
            .await
            .map_err(Error::while_("count lanes"))?;
        let Some(row) = rows.first() else {
            return Ok(LaneStats::default());
        };
        let count = |name| column::<i64>(row, name).map(i64::unsigned_abs);
        let seconds = |name| {
            let seconds: Option<f64> = column(row, name)?;
            Ok(Duration::try_from_secs_f64(seconds.unwrap_or_default()).unwrap_or_default())
        };
        Ok(LaneStats {
            open_lanes: count("open_lanes")?,
            held_lanes: count("held_lanes")?,
            waiting_events: count("waiting_events")?,
            dead_events: count("dead_events")?,
            overdue: seconds("overdue")?,
            oldest: seconds("oldest")?,
        })
    }

    /// Up to `limit` events that were given up, the last failure first.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`], [`Error::Unreadable`].
    pub async fn dead(&self, group: &str, limit: usize) -> Result<Vec<DeadEvent>, Error> {
        let client = self.client().await?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = client
            .query_typed(DEAD, &[(&group, Type::TEXT), (&limit, Type::INT8)])
            .await
            .map_err(Error::while_("list events that were given up"))?;
        rows.iter().map(dead_event).collect()
    }
}

fn dead_event(row: &tokio_postgres::Row) -> Result<DeadEvent, Error> {
    let status: &str = column(row, "status")?;
    let status = EventStatus::from_text(status)
        .ok_or_else(|| Error::unreadable("status", format!("{status:?} is not known")))?;
    let error = match column::<Option<&str>>(row, "error_code")? {
        Some(code) => {
            let chain: Vec<String> = serde_json::from_value(column(row, "error_chain")?)
                .map_err(|error| Error::unreadable("error_chain", error))?;
            let chain = chain.iter().map(String::as_str);
            Some(ErrorReport::new(code, column(row, "error_message")?, chain))
        }
        None => None,
    };
    Ok(DeadEvent {
        id: LaneEventId::new(column(row, "id")?),
        origin: position(row)?,
        part: part(row)?,
        key: column(row, "key")?,
        status,
        attempts: column::<i32>(row, "attempts")?.unsigned_abs(),
        last_failed_at: column(row, "last_failed_at")?,
        error,
        behind: column::<i64>(row, "behind")?.unsigned_abs(),
    })
}
