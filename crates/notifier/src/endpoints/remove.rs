//! Removes endpoints.

use tokio_postgres::types::Type;

use super::Endpoints;
use crate::endpoint::EndpointId;
use crate::error::Error;
use crate::session::column;

/// Deliveries that did not arrive, as far as they are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Undelivered {
    /// Failed, and may come again.
    pub retrying: u64,
    /// Refused for good.
    pub failed: u64,
    /// Not sent, since the endpoint was disabled.
    pub missed: u64,
    /// In doubt: may have arrived.
    pub unknown: u64,
}

/// What went with an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemovedEndpoint {
    /// Subscriptions that are no more.
    pub subscriptions: u64,
    /// Subscriptions that are not this crate's to remove: the application has a `cdc.subscription` of its own.
    pub foreign_subscriptions: u64,
}

impl Undelivered {
    /// Whether everything arrived.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Endpoints {
    /// What an endpoint has not got of what was to be sent to it.
    ///
    /// # Errors
    ///
    /// [`Error::NoEndpoint`], [`Error::Postgres`].
    pub async fn undelivered(&mut self, id: &EndpointId) -> Result<Undelivered, Error> {
        // What is in flight for the first time has no code, and is not counted: it may arrive any moment.
        const SQL: &str = "
            SELECT count(*) FILTER (WHERE delivery.state IN ('retrying', 'claimed')) AS retrying,
                   count(*) FILTER (WHERE delivery.state = 'failed') AS failed,
                   count(*) FILTER (WHERE delivery.state = 'missed') AS missed,
                   count(*) FILTER (WHERE delivery.state = 'unknown') AS unknown
              FROM cdc.endpoint AS endpoint
              LEFT JOIN cdc.delivery AS delivery ON delivery.endpoint_id = endpoint.id AND delivery.code IS NOT NULL
             WHERE endpoint.id = $1
             GROUP BY endpoint.id";
        let rows = self
            .session
            .query(
                "count deliveries that did not arrive",
                SQL,
                &[(&id.as_str(), Type::TEXT)],
            )
            .await?;
        let row = rows.first().ok_or_else(|| Error::NoEndpoint(id.clone()))?;
        let count = |name| column::<i64>(row, name).map(i64::unsigned_abs);
        Ok(Undelivered {
            retrying: count("retrying")?,
            failed: count("failed")?,
            missed: count("missed")?,
            unknown: count("unknown")?,
        })
    }

    /// Removes an endpoint with its subscriptions. What was to come again for it does not; what is known of its
    /// deliveries is forgotten by age, as if it were there.
    ///
    /// # Errors
    ///
    /// [`Error::NoEndpoint`], [`Error::Postgres`].
    pub async fn remove(&mut self, id: &EndpointId) -> Result<RemovedEndpoint, Error> {
        // The count is of what was there before. A view, or a table without this key, keeps what is in it.
        const SQL: &str = "
            WITH gone AS (DELETE FROM cdc.endpoint WHERE id = $1 RETURNING id)
            SELECT (SELECT count(*) FROM cdc.subscription WHERE endpoint_id = gone.id) AS subscriptions,
                   EXISTS (SELECT FROM pg_catalog.pg_constraint
                            WHERE conrelid = 'cdc.subscription'::regclass AND confrelid = 'cdc.endpoint'::regclass
                              AND contype = 'f' AND confdeltype = 'c') AS ours
              FROM gone";
        let rows = self
            .session
            .query("remove an endpoint", SQL, &[(&id.as_str(), Type::TEXT)])
            .await?;
        let row = rows.first().ok_or_else(|| Error::NoEndpoint(id.clone()))?;
        let subscriptions = column::<i64>(row, "subscriptions")?.unsigned_abs();
        let ours = column(row, "ours")?;
        Ok(RemovedEndpoint {
            subscriptions: if ours { subscriptions } else { 0 },
            foreign_subscriptions: if ours { 0 } else { subscriptions },
        })
    }
}
