//! Takes back what became of events that were given out.

use tokio_postgres::types::{ToSql, Type};

use super::FailedEvents;
use super::claim::{Claim, ClaimedEvent, numbers};
use super::row::id;
use crate::error::Error;
use crate::error_report::ErrorReport;
use crate::failed_event::FailedEventId;
use crate::fingerprint::Fingerprint;

impl FailedEvents {
    /// Ends the hold on `ids`: they were sent and acknowledged. Gives those for which that is now on record; the
    /// others' lease had ended.
    ///
    /// May be dropped and done again.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`].
    pub async fn replayed(
        &mut self,
        claim: &Claim,
        ids: &[FailedEventId],
    ) -> Result<Vec<FailedEventId>, Error> {
        let sql = settle("'replayed'", "", "");
        self.settled(&sql, claim, ids, &[]).await
    }

    /// Ends the hold on `ids`, which were not sent: they are open again.
    ///
    /// May be dropped and done again.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`].
    pub async fn release(
        &mut self,
        claim: &Claim,
        ids: &[FailedEventId],
    ) -> Result<Vec<FailedEventId>, Error> {
        let sql = settle("'open'", "", "");
        self.settled(&sql, claim, ids, &[]).await
    }

    /// Ends the hold on events that failed again, each with why: they are open again, with one more attempt.
    ///
    /// May be dropped and done again.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`].
    pub async fn failed_again(
        &mut self,
        claim: &Claim,
        failures: &[(&ClaimedEvent, ErrorReport)],
    ) -> Result<Vec<FailedEventId>, Error> {
        let ids: Vec<_> = failures.iter().map(|(event, _)| event.id).collect();
        let backtraces: Vec<_> = failures
            .iter()
            .map(|(_, error)| error.backtrace())
            .collect();
        let codes: Vec<_> = failures.iter().map(|(_, error)| error.code()).collect();
        let messages: Vec<_> = failures.iter().map(|(_, error)| error.message()).collect();
        let chains: Vec<serde_json::Value> = failures
            .iter()
            .map(|(_, error)| error.chain().into())
            .collect();
        let fingerprints: Vec<_> = failures
            .iter()
            .map(|(event, error)| Fingerprint::new(&event.origin, Some(&event.target), error))
            .collect();
        let fingerprints: Vec<_> = fingerprints.iter().map(Fingerprint::as_str).collect();
        let sql = settle(
            "'open'",
            ", last_failed_at = now(), attempts = least(event.attempts::bigint + 1, 2147483647), \
             error_code = given.code, error_message = given.message, error_chain = given.chain, \
             error_backtrace = given.backtrace, fingerprint = given.fingerprint",
            ", $4, $5, $6, $7, $8",
        );
        let more: [(&(dyn ToSql + Sync), Type); 5] = [
            (&codes, Type::TEXT_ARRAY),
            (&messages, Type::TEXT_ARRAY),
            (&chains, Type::JSONB_ARRAY),
            (&backtraces, Type::TEXT_ARRAY),
            (&fingerprints, Type::TEXT_ARRAY),
        ];
        self.settled(&sql, claim, &ids, &more).await
    }

    async fn settled(
        &mut self,
        sql: &str,
        claim: &Claim,
        ids: &[FailedEventId],
        more: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<FailedEventId>, Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let numbers = numbers(ids);
        let mut parameters: Vec<(&(dyn ToSql + Sync), Type)> = vec![
            (&numbers, Type::INT8_ARRAY),
            (&claim.token, Type::TEXT),
            (&claim.actor, Type::TEXT),
        ];
        parameters.extend(more.iter().map(|(value, kind)| (*value, kind.clone())));
        let rows = self
            .client()
            .await?
            .query_typed(sql, &parameters)
            .await
            .map_err(Error::while_("record what became of a replay"))?;
        rows.iter().map(id).collect()
    }
}

/// Ends a hold. `more` is set besides, from the arrays `given` besides the numbers.
fn settle(status: &str, more: &str, given: &str) -> String {
    let names = if given.is_empty() {
        "id"
    } else {
        "id, code, message, chain, backtrace, fingerprint"
    };
    format!(
        "WITH settled AS (
             UPDATE cdc.failed_event AS event
                SET status = {status}, status_changed_at = now(), status_changed_by = $3,
                    lease_token = NULL, lease_until = NULL{more}
               FROM unnest($1{given}) AS given ({names})
              WHERE event.id = given.id AND event.status = 'replaying' AND event.lease_token = $2::uuid
             RETURNING event.id),
         logged AS (
             INSERT INTO cdc.failed_event_action (failed_event_id, status, actor)
             SELECT id, {status}, $3 FROM settled)
         SELECT id FROM settled ORDER BY id"
    )
}
