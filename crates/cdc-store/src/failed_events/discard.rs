//! Gives failed events up.

use tokio_postgres::types::Type;

use super::FailedEvents;
use super::claim::numbers;
use super::list::UNHELD;
use super::row::id;
use crate::error::Error;
use crate::failed_event::FailedEventId;
use crate::text::bounded;

/// Bytes of a note.
const NOTE_BYTES: usize = 4096;

impl FailedEvents {
    /// Gives up those of `ids` that are open, and says which these were. They stay in the store. `actor` is who does
    /// it; `note`, up to 4096 bytes, is why.
    ///
    /// May be dropped and done again.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`].
    pub async fn discard(
        &mut self,
        ids: &[FailedEventId],
        actor: &str,
        note: Option<&str>,
    ) -> Result<Vec<FailedEventId>, Error> {
        let numbers = numbers(ids);
        let note = note.map(|note| bounded(note, NOTE_BYTES));
        let sql = format!(
            "WITH discarded AS (
                 UPDATE cdc.failed_event
                    SET status = 'discarded', status_changed_at = now(), status_changed_by = $2, note = $3,
                        lease_token = NULL, lease_until = NULL
                  WHERE id = ANY ($1) AND {UNHELD}
                 RETURNING id),
             logged AS (
                 INSERT INTO cdc.failed_event_action (failed_event_id, status, actor, note)
                 SELECT id, 'discarded', $2, $3 FROM discarded)
             SELECT id FROM discarded ORDER BY id"
        );
        let rows = self
            .client()
            .await?
            .query_typed(
                &sql,
                &[
                    (&numbers, Type::INT8_ARRAY),
                    (&actor, Type::TEXT),
                    (&note, Type::TEXT),
                ],
            )
            .await
            .map_err(Error::while_("discard failed events"))?;
        rows.iter().map(id).collect()
    }
}
