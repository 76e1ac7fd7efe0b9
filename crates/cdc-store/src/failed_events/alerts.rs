//! What is to be told about failures: once for each reason and window, by one instance of many.

use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::FailedEvents;
use super::row::column;
use crate::error::Error;
use crate::failed_event::FailedEventId;
use crate::fingerprint::Fingerprint;

/// When failures are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlertSettings {
    /// Failures of one reason are told once in this time.
    pub window: Duration,
    /// How long the one who tells it may take; then another one may.
    pub lease: Duration,
    /// Reasons at a time, at most.
    pub limit: u32,
}

/// Failures of one reason that are to be told, held by whoever claimed them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertClaim {
    token: String,
    /// Until when failures are counted.
    until: SystemTime,
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
    /// The causes of that error, outermost first.
    pub causes: Vec<String>,
    /// Where it happened, if that is known.
    pub backtrace: Option<String>,
    /// Open events that failed since it was told last.
    pub failures: u64,
    /// All open events of this reason.
    pub open: u64,
    /// The event that failed last.
    pub last_event: FailedEventId,
    /// When it failed.
    pub last_failed_at: SystemTime,
}

impl FailedEvents {
    /// Takes hold of reasons for which open events failed since they were told last, at least a window ago. The oldest
    /// news come first.
    ///
    /// Reads the open events. Not cancel safe: a dropped call may have taken hold of reasons, which stay so until the
    /// lease ends.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`], [`Error::Unreadable`].
    pub async fn claim_alerts(
        &mut self,
        settings: AlertSettings,
    ) -> Result<Vec<AlertClaim>, Error> {
        const DUE: &str =
            "(alert.sent_at IS NULL OR alert.sent_at <= now() - make_interval(secs => $1))
                   AND (alert.claimed_until IS NULL OR alert.claimed_until < now())";
        let sql = format!(
            "WITH news AS MATERIALIZED (
                 SELECT event.fingerprint, count(*) AS open, max(last_failed_at) AS last_failed_at,
                        count(*) FILTER (WHERE last_failed_at > coalesce(alert.covered_until, '-infinity')) AS failures
                   FROM cdc.failed_event AS event LEFT JOIN cdc.alert AS alert USING (fingerprint)
                  WHERE event.status = 'open' AND {DUE}
                  GROUP BY event.fingerprint
                 HAVING max(last_failed_at) > coalesce(min(alert.covered_until), '-infinity')
                  ORDER BY min(last_failed_at) LIMIT $3),
             claimed AS (
                 INSERT INTO cdc.alert AS alert (fingerprint, claim_token, claimed_until)
                 SELECT fingerprint, gen_random_uuid(), now() + make_interval(secs => $2)
                   FROM news ORDER BY fingerprint
                 ON CONFLICT (fingerprint) DO UPDATE
                    SET claim_token = EXCLUDED.claim_token, claimed_until = EXCLUDED.claimed_until
                  WHERE {DUE}
                 RETURNING fingerprint, claim_token)
             SELECT news.*, last.*, claimed.claim_token::text AS token, now() AS until
               FROM news JOIN claimed USING (fingerprint) CROSS JOIN LATERAL (
                    SELECT id AS last_event, error_code AS code, error_message AS message,
                           error_chain, error_backtrace,
                           coalesce(slot, consumer_group) AS scope, coalesce(origin_topic, topic) AS topic
                      FROM cdc.failed_event WHERE fingerprint = news.fingerprint AND status = 'open'
                     ORDER BY last_failed_at DESC, id DESC LIMIT 1) AS last
              ORDER BY news.last_failed_at"
        );
        let (window, lease) = (settings.window.as_secs_f64(), settings.lease.as_secs_f64());
        let limit = i64::from(settings.limit);
        let rows = self
            .client()
            .await?
            .query_typed(
                &sql,
                &[
                    (&window, Type::FLOAT8),
                    (&lease, Type::FLOAT8),
                    (&limit, Type::INT8),
                ],
            )
            .await
            .map_err(Error::while_("look for failures to be told"))?;
        rows.iter().map(alert).collect()
    }

    /// Ends the hold: it was told. Returns false when the lease had ended and somebody else has taken it.
    ///
    /// May be dropped and done again.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`].
    pub async fn alert_sent(&mut self, alert: &AlertClaim) -> Result<bool, Error> {
        let sql = "UPDATE cdc.alert SET sent_at = now(), covered_until = $3, claim_token = NULL, claimed_until = NULL
                    WHERE fingerprint = $1 AND claim_token = $2::uuid RETURNING fingerprint";
        let parameters = [
            (&alert.fingerprint.as_str() as _, Type::TEXT),
            (&alert.token as _, Type::TEXT),
            (&alert.until as _, Type::TIMESTAMPTZ),
        ];
        let ended = self.client().await?.query_typed(sql, &parameters).await;
        let ended = ended.map_err(Error::while_("record that failures were told"))?;
        Ok(!ended.is_empty())
    }

    /// Puts it off: it could not be told, and nobody is to try for `delay`.
    ///
    /// May be dropped and done again.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`].
    pub async fn alert_failed(&mut self, alert: &AlertClaim, delay: Duration) -> Result<(), Error> {
        let sql = "UPDATE cdc.alert SET claimed_until = now() + make_interval(secs => $3)
                    WHERE fingerprint = $1 AND claim_token = $2::uuid";
        let parameters = [
            (&alert.fingerprint.as_str() as _, Type::TEXT),
            (&alert.token as _, Type::TEXT),
            (&delay.as_secs_f64() as _, Type::FLOAT8),
        ];
        let put_off = self.client().await?.query_typed(sql, &parameters).await;
        put_off.map(drop).map_err(Error::while_("put an alert off"))
    }
}

fn alert(row: &Row) -> Result<AlertClaim, Error> {
    let causes = serde_json::from_value(column::<Value>(row, "error_chain")?)
        .map_err(|error| Error::unreadable("error_chain", error))?;
    Ok(AlertClaim {
        token: column(row, "token")?,
        until: column(row, "until")?,
        fingerprint: Fingerprint::from_text(column::<String>(row, "fingerprint")?),
        scope: column(row, "scope")?,
        topic: column(row, "topic")?,
        code: column(row, "code")?,
        message: column(row, "message")?,
        causes,
        backtrace: column(row, "error_backtrace")?,
        failures: column::<i64>(row, "failures")?.unsigned_abs(),
        open: column::<i64>(row, "open")?.unsigned_abs(),
        last_event: FailedEventId::new(column(row, "last_event")?),
        last_failed_at: column(row, "last_failed_at")?,
    })
}
