//! Gives failed events out to be sent again.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::FailedEvents;
use super::list::UNHELD;
use super::row::{column, contents, error, id, origin, target};
use crate::error::Error;
use crate::error_report::ErrorReport;
use crate::failed_event::FailedEventId;
use crate::origin::Origin;
use crate::record::{Contents, Target};

/// Events that are being sent again, held under one lease.
///
/// Until the lease ends nobody else is given them. A claim that is dropped leaves them to that: a replay that was
/// killed is taken up again by another.
#[derive(Debug)]
pub struct Claim {
    pub(super) token: String,
    pub(super) actor: String,
    /// The events, in the order in which they are to be sent.
    pub events: Vec<ClaimedEvent>,
}

/// An event to be sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedEvent {
    /// Its number.
    pub id: FailedEventId,
    /// Where it came from.
    pub origin: Origin,
    /// Where to.
    pub target: Target,
    /// What.
    pub contents: Contents,
    /// How often it failed.
    pub attempts: NonZeroU32,
    /// When it failed first.
    pub first_failed_at: SystemTime,
    /// Why it failed last, without backtrace.
    pub error: ErrorReport,
}

impl FailedEvents {
    /// Takes hold of the first of `ids` that are open and can be replayed, for `lease`: as many as have `bytes` of
    /// payload together, and at least one. What somebody else holds is left out. `actor` is who does it.
    ///
    /// Not cancel safe: a dropped call may have taken hold of events, which stay so until the lease ends.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`], [`Error::Unreadable`].
    pub async fn claim(
        &mut self,
        ids: &[FailedEventId],
        bytes: u64,
        lease: Duration,
        actor: &str,
    ) -> Result<Claim, Error> {
        let numbers = numbers(ids);
        let (bytes, lease) = (
            i64::try_from(bytes).unwrap_or(i64::MAX),
            lease.as_secs_f64(),
        );
        let sql = format!(
            "WITH lease AS MATERIALIZED (SELECT gen_random_uuid() AS token),
             candidate AS MATERIALIZED (
                 SELECT event.id, wanted.place, coalesce(octet_length(event.payload), 0)::bigint AS bytes
                   FROM unnest($1) WITH ORDINALITY AS wanted (id, place)
                   JOIN cdc.failed_event AS event ON event.id = wanted.id
                  WHERE event.topic IS NOT NULL AND {UNHELD}
                  ORDER BY wanted.place
                    FOR UPDATE OF event SKIP LOCKED),
             chosen AS (
                 SELECT id, place, sum(bytes) OVER (ORDER BY place) - bytes AS before FROM candidate),
             claimed AS (
                 UPDATE cdc.failed_event AS event
                    SET status = 'replaying', status_changed_at = now(), status_changed_by = $4,
                        lease_token = lease.token, lease_until = now() + make_interval(secs => $3)
                   FROM chosen, lease
                  WHERE event.id = chosen.id AND (chosen.before < $2 OR chosen.before = 0)
                 RETURNING event.*, chosen.place),
             logged AS (
                 INSERT INTO cdc.failed_event_action (failed_event_id, status, actor)
                 SELECT id, status, $4 FROM claimed ORDER BY place)
             SELECT *, lease_token::text AS token FROM claimed ORDER BY place"
        );
        let rows = self
            .client()
            .await?
            .query_typed(
                &sql,
                &[
                    (&numbers, Type::INT8_ARRAY),
                    (&bytes, Type::INT8),
                    (&lease, Type::FLOAT8),
                    (&actor, Type::TEXT),
                ],
            )
            .await
            .map_err(Error::while_("take hold of failed events"))?;
        let mut claim = Claim {
            token: rows
                .first()
                .map_or(Ok(String::new()), |row| column(row, "token"))?,
            actor: actor.to_owned(),
            events: Vec::with_capacity(rows.len()),
        };
        for row in &rows {
            claim.events.push(ClaimedEvent {
                id: id(row)?,
                origin: origin(row)?,
                target: target(row)?.ok_or_else(|| {
                    Error::unreadable("topic", "an event without topic was claimed")
                })?,
                contents: contents(row)?,
                attempts: attempts(row)?,
                first_failed_at: column(row, "first_failed_at")?,
                error: error(row)?,
            });
        }
        Ok(claim)
    }
}

/// The table has none that were never tried.
fn attempts(row: &Row) -> Result<NonZeroU32, Error> {
    let attempts: i32 = column(row, "attempts")?;
    NonZeroU32::new(attempts.unsigned_abs())
        .ok_or_else(|| Error::unreadable("attempts", "an event that never failed"))
}

pub(super) fn numbers(ids: &[FailedEventId]) -> Vec<i64> {
    ids.iter().map(|id| id.get()).collect()
}
