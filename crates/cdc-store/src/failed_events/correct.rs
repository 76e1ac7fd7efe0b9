//! Gives a failed event another payload.

use tokio_postgres::types::Type;

use super::FailedEvents;
use super::list::UNHELD;
use crate::error::Error;
use crate::failed_event::FailedEventId;
use crate::text::bounded;

/// Bytes of a note.
const NOTE_BYTES: usize = 4096;

impl FailedEvents {
    /// Gives an event that is open another payload, to be replayed with, and says whether that was done: what is
    /// discarded, replayed or held by somebody stays as it is. `actor` is who does it; `note`, up to 4096 bytes, is why.
    ///
    /// The payload that it had is kept with the action. May be dropped; done again, it is one more action.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`].
    pub async fn correct(
        &mut self,
        id: FailedEventId,
        payload: &[u8],
        actor: &str,
        note: Option<&str>,
    ) -> Result<bool, Error> {
        let number = id.get();
        let note = note.map(|note| bounded(note, NOTE_BYTES));
        let sql = format!(
            "WITH before AS MATERIALIZED (
                 SELECT id, payload FROM cdc.failed_event
                  WHERE id = $1 AND topic IS NOT NULL AND {UNHELD} FOR UPDATE),
             corrected AS (
                 UPDATE cdc.failed_event AS event
                    SET payload = $2, status = 'open', status_changed_at = now(), status_changed_by = $3, note = $4,
                        lease_token = NULL, lease_until = NULL
                   FROM before WHERE event.id = before.id
                 RETURNING event.id, before.payload)
             INSERT INTO cdc.failed_event_action
                    (failed_event_id, status, actor, note, payload_replaced, replaced_payload)
             SELECT id, 'open', $3, $4, true, payload FROM corrected RETURNING id"
        );
        let rows = self
            .client()
            .await?
            .query_typed(
                &sql,
                &[
                    (&number, Type::INT8),
                    (&payload, Type::BYTEA),
                    (&actor, Type::TEXT),
                    (&note, Type::TEXT),
                ],
            )
            .await
            .map_err(Error::while_("replace the payload of a failed event"))?;
        Ok(!rows.is_empty())
    }
}
