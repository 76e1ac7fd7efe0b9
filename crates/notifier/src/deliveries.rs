//! What became of deliveries, for people.

mod attempts;
mod missed;

use std::time::{Duration, SystemTime};

use pg_replication::ConnectOptions;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::delivery::DeliveryState;
use crate::endpoint::EndpointId;
use crate::error::Error;
use crate::session::{Parameter, Session, column};

pub use attempts::{AttemptFilter, AttemptPlace, InvalidStatuses, PastAttempt, Statuses};
pub use missed::{MissedCount, MissedEvent, MissedFilter};

const COLUMNS: &str =
    "event_id, endpoint_id, state, status, code, excerpt, origin, created_at, changed_at";

/// What became of deliveries: one session with the database of the notifier.
///
/// A call after the connection was lost connects anew. A dropped call may have been done.
#[derive(Debug)]
pub struct Deliveries {
    session: Session,
}

/// What became of an event for an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The event, as `webhook-id` has it.
    pub event_id: String,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// What became of it.
    pub state: DeliveryState,
    /// The last answer.
    pub status: Option<u16>,
    /// Why it did not arrive.
    pub code: Option<String>,
    /// The beginning of the last answer.
    pub excerpt: Option<String>,
    /// Where its record is: `topic[partition]@offset`.
    pub origin: Option<String>,
    /// When it was begun.
    pub created_at: SystemTime,
    /// When that became of it.
    pub changed_at: SystemTime,
}

/// Tells a delivery from all others, and says when it was begun, by which those in trouble are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryPlace {
    /// When it was begun.
    pub created_at: SystemTime,
    /// The event, as `webhook-id` has it.
    pub event_id: String,
    /// The endpoint.
    pub endpoint: EndpointId,
}

/// What somebody found out about a delivery that was in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// It arrived.
    Arrived,
    /// It did not: it is sent when its record comes again, by a replay for example.
    SendAgain,
}

impl Delivery {
    /// Where it stands in a list.
    #[must_use]
    pub fn place(&self) -> DeliveryPlace {
        DeliveryPlace {
            created_at: self.created_at,
            event_id: self.event_id.clone(),
            endpoint: self.endpoint.clone(),
        }
    }
}

impl Deliveries {
    /// A session that is made when it is first needed. `limit` is the time that a statement may take.
    #[must_use]
    pub fn new(options: &ConnectOptions, limit: Duration) -> Self {
        Self {
            session: Session::new(options.clone(), limit),
        }
    }

    /// The deliveries of an event, by endpoint.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`], [`Error::Unreadable`].
    pub async fn of_event(&mut self, event_id: &str) -> Result<Vec<Delivery>, Error> {
        let sql =
            format!("SELECT {COLUMNS} FROM cdc.delivery WHERE event_id = $1 ORDER BY endpoint_id");
        let rows = self
            .session
            .query("read deliveries", &sql, &[(&event_id, Type::TEXT)])
            .await?;
        rows.iter().map(delivery).collect()
    }

    /// The first `limit` that did not arrive and are `state` now, of all endpoints or of one, the oldest first. With `after`,
    /// those that come after that one.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`], [`Error::Unreadable`].
    pub async fn in_trouble(
        &mut self,
        state: DeliveryState,
        endpoint: Option<&EndpointId>,
        after: Option<&DeliveryPlace>,
        limit: u32,
    ) -> Result<Vec<Delivery>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM cdc.delivery
              WHERE code IS NOT NULL AND state = $1 AND ($2 IS NULL OR endpoint_id = $2)
                AND ($3 IS NULL OR (created_at, event_id, endpoint_id) > ($3, $4, $5))
              ORDER BY created_at, event_id, endpoint_id LIMIT $6"
        );
        let (state, endpoint) = (state.as_str(), endpoint.map(EndpointId::as_str));
        let begun = after.map(|key| key.created_at);
        let event = after.map(|key| key.event_id.as_str());
        let to = after.map(|key| key.endpoint.as_str());
        let limit = i64::from(limit);
        let parameters: [Parameter<'_>; 6] = [
            (&state, Type::TEXT),
            (&endpoint, Type::TEXT),
            (&begun, Type::TIMESTAMPTZ),
            (&event, Type::TEXT),
            (&to, Type::TEXT),
            (&limit, Type::INT8),
        ];
        let rows = self
            .session
            .query("read deliveries", &sql, &parameters)
            .await?;
        rows.iter().map(delivery).collect()
    }

    /// Settles a doubt. Gives whether there was one.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`].
    pub async fn resolve(
        &mut self,
        event_id: &str,
        endpoint: &EndpointId,
        resolution: Resolution,
    ) -> Result<bool, Error> {
        let arrived = resolution == Resolution::Arrived;
        let rows = self
            .session
            .query(
                "settle a doubtful delivery",
                "UPDATE cdc.delivery
                    SET state = CASE WHEN $3 THEN 'delivered' ELSE 'retrying' END,
                        code = CASE WHEN NOT $3 THEN code END, changed_at = now()
                  WHERE event_id = $1 AND endpoint_id = $2 AND state = 'unknown'
                 RETURNING event_id",
                &[
                    (&event_id, Type::TEXT),
                    (&endpoint.as_str(), Type::TEXT),
                    (&arrived, Type::BOOL),
                ],
            )
            .await?;
        Ok(!rows.is_empty())
    }

    /// Forgets what was begun longer ago than `retention`, and requests that old, `batch` rows at a time; gives how many
    /// deliveries that were. What is in doubt is kept until somebody settles it.
    ///
    /// An event that comes again after that is sent again: `retention` has to be longer than any record can still be
    /// read or replayed. Dropping the future keeps what the finished batches did.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`].
    pub async fn prune(&mut self, retention: Duration, batch: u32) -> Result<u64, Error> {
        const DELIVERIES: &str = "
            WITH old AS MATERIALIZED (
                SELECT event_id, endpoint_id FROM cdc.delivery
                 WHERE created_at < now() - make_interval(secs => $1) AND state <> 'unknown'
                   AND (state <> 'claimed' OR lease_until < now())
                 ORDER BY created_at LIMIT $2
                   FOR UPDATE SKIP LOCKED),
            gone AS (
                DELETE FROM cdc.delivery AS delivery USING old
                 WHERE delivery.event_id = old.event_id AND delivery.endpoint_id = old.endpoint_id
                RETURNING delivery.event_id)
            SELECT count(*) AS removed FROM gone";
        const ATTEMPTS: &str = "
            WITH gone AS (
                DELETE FROM cdc.attempt WHERE ctid = ANY (ARRAY(
                    SELECT ctid FROM cdc.attempt WHERE at < now() - make_interval(secs => $1)
                     ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED))
                RETURNING event_id)
            SELECT count(*) AS removed FROM gone";
        self.remove("remove old requests", ATTEMPTS, retention, batch)
            .await?;
        self.remove("remove old deliveries", DELIVERIES, retention, batch)
            .await
    }

    /// Runs a statement that removes what is older than its first parameter, as many rows as its second says, until
    /// there are no more.
    async fn remove(
        &mut self,
        doing: &'static str,
        sql: &str,
        age: Duration,
        batch: u32,
    ) -> Result<u64, Error> {
        let (age, limit) = (age.as_secs_f64(), i64::from(batch.max(1)));
        let mut total = 0;
        loop {
            let parameters = [(&age as _, Type::FLOAT8), (&limit as _, Type::INT8)];
            let rows = self.session.query(doing, sql, &parameters).await?;
            let removed: i64 = rows.first().map_or(Ok(0), |row| column(row, "removed"))?;
            total += removed.unsigned_abs();
            if removed < limit {
                return Ok(total);
            }
        }
    }
}

/// At most a thousand years: PostgreSQL has no time before 4713 BC.
fn seconds(age: Duration) -> f64 {
    const LONGEST: Duration = Duration::from_secs(1000 * 366 * 86_400);
    age.min(LONGEST).as_secs_f64()
}

fn delivery(row: &Row) -> Result<Delivery, Error> {
    let (endpoint, state): (&str, &str) = (column(row, "endpoint_id")?, column(row, "state")?);
    let status: Option<i32> = column(row, "status")?;
    Ok(Delivery {
        event_id: column(row, "event_id")?,
        endpoint: EndpointId::new(endpoint)
            .map_err(|error| Error::unreadable("endpoint_id", error))?,
        state: state
            .parse()
            .map_err(|error| Error::unreadable("state", error))?,
        status: status.and_then(|status| u16::try_from(status).ok()),
        code: column(row, "code")?,
        excerpt: column(row, "excerpt")?,
        origin: column(row, "origin")?,
        created_at: column(row, "created_at")?,
        changed_at: column(row, "changed_at")?,
    })
}
