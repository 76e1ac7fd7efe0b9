//! Enables and disables endpoints.

use std::time::SystemTime;

use tokio_postgres::types::Type;

use super::Endpoints;
use crate::endpoint::{EndpointId, EndpointState};
use crate::error::Error;
use crate::session::column;

/// What an endpoint did not get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    /// Since when it did nothing but fail, or was disabled; `None` when it was neither.
    pub since: Option<SystemTime>,
    /// How many events have come to it since then and not arrived: they failed, may come again, or are in doubt.
    /// [`Deliveries::in_trouble`](crate::Deliveries::in_trouble) lists them.
    pub failed: u64,
    /// How many it missed while it was disabled, now or before: [`Deliveries::missed`](crate::Deliveries::missed).
    pub while_disabled: u64,
}

impl Endpoints {
    /// Enables an endpoint, and says what it missed. It gets what comes from now on; what it missed it gets when those
    /// records come again, by a replay for example.
    ///
    /// # Errors
    ///
    /// [`Error::NoEndpoint`], [`Error::Postgres`].
    pub async fn enable(&mut self, id: &EndpointId) -> Result<Missed, Error> {
        // A failure is noted a little after it happened.
        const SQL: &str = "
            WITH before AS MATERIALIZED (
                SELECT id, least(first_failed_at, disabled_at) AS since FROM cdc.endpoint WHERE id = $1 FOR UPDATE),
            enabled AS (
                UPDATE cdc.endpoint AS endpoint
                   SET state = 'enabled', disabled_reason = NULL, disabled_at = NULL,
                       first_failed_at = NULL, last_failed_at = NULL,
                       failures_in_a_row = NULL, closed_until = NULL
                  FROM before WHERE endpoint.id = before.id)
            SELECT since, (SELECT count(*) FROM cdc.delivery
                            WHERE endpoint_id = $1 AND code IS NOT NULL
                              AND state IN ('failed', 'retrying', 'unknown')
                              AND changed_at >= since - interval '1 minute') AS failed,
                   (SELECT count(*) FROM cdc.delivery
                     WHERE endpoint_id = $1 AND code IS NOT NULL AND state = 'missed') AS while_disabled
              FROM before";
        let rows = self
            .session
            .query("enable an endpoint", SQL, &[(&id.as_str(), Type::TEXT)])
            .await?;
        let row = rows.first().ok_or_else(|| Error::NoEndpoint(id.clone()))?;
        let (failed, while_disabled): (i64, i64) =
            (column(row, "failed")?, column(row, "while_disabled")?);
        Ok(Missed {
            since: column(row, "since")?,
            failed: failed.unsigned_abs(),
            while_disabled: while_disabled.unsigned_abs(),
        })
    }

    /// Whether an endpoint is sent anything.
    ///
    /// # Errors
    ///
    /// [`Error::NoEndpoint`], [`Error::Postgres`], [`Error::Unreadable`].
    pub async fn state(&mut self, id: &EndpointId) -> Result<EndpointState, Error> {
        Ok(self.row(id).await?.state)
    }

    /// Disables an endpoint. It is sent nothing; what it misses is noted. `reason` is for whoever looks.
    ///
    /// # Errors
    ///
    /// [`Error::NoEndpoint`], [`Error::Postgres`].
    pub async fn disable(&mut self, id: &EndpointId, reason: &str) -> Result<(), Error> {
        const SQL: &str = "
            UPDATE cdc.endpoint
               SET state = 'disabled', disabled_reason = $2, disabled_at = coalesce(disabled_at, now())
             WHERE id = $1
            RETURNING id";
        let parameters = [(&id.as_str() as _, Type::TEXT), (&reason as _, Type::TEXT)];
        let rows = self
            .session
            .query("disable an endpoint", SQL, &parameters)
            .await?;
        if rows.is_empty() {
            Err(Error::NoEndpoint(id.clone()))
        } else {
            Ok(())
        }
    }
}
