//! Stores failures.

mod columns;
mod statement;

use self::columns::Columns;
use super::FailedEvents;
use super::row::column;
use crate::error::Error;
use crate::failed_event::{FailedEventId, NewFailedEvent};
use crate::origin::Source;

/// Bounds of one statement; a larger event goes alone.
const BATCH_EVENTS: usize = 500;
const BATCH_BYTES: usize = 16 * 1024 * 1024;

impl FailedEvents {
    /// Stores events and gives their numbers, in the order given. When it returns, they are on disk.
    ///
    /// An event that is there already (same origin, same id) is not stored again: its attempts are added and its last
    /// failure becomes now. Up to 500 events or 16 MiB of one source are one round trip. A name with NUL in it can
    /// neither be sent to Kafka nor be stored: such an event is stored without target, the NUL replaced.
    ///
    /// May be dropped and done again: a dropped call has stored all, some or none of the events.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`]. Of more than one round trip, what the earlier ones stored stays.
    pub async fn record(&mut self, events: &[NewFailedEvent]) -> Result<Vec<FailedEventId>, Error> {
        let mut ids = vec![None; events.len()];
        for source in [Source::Relay, Source::Consumer] {
            let placed: Vec<(usize, &NewFailedEvent)> = events
                .iter()
                .enumerate()
                .filter(|(_, event)| event.origin.source() == source)
                .collect();
            let mut rest = placed.as_slice();
            while !rest.is_empty() {
                let (batch, later) = rest.split_at(batch_length(rest));
                let stored = self.record_batch(source, batch).await?;
                for ((place, _), id) in batch.iter().zip(stored) {
                    ids[*place] = Some(id);
                }
                rest = later;
            }
        }
        ids.into_iter()
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| Error::unreadable("id", "the store did not answer for every event"))
    }

    async fn record_batch(
        &mut self,
        source: Source,
        batch: &[(usize, &NewFailedEvent)],
    ) -> Result<Vec<FailedEventId>, Error> {
        let columns = Columns::of(batch.iter().map(|(_, event)| *event));
        let rows = self
            .client()
            .await?
            .query_typed(&statement::sql(source), &columns.parameters())
            .await
            .map_err(Error::while_("store failed events"))?;
        rows.iter()
            .map(|row| column(row, "id").map(FailedEventId::new))
            .collect()
    }
}

/// How many of `events` are one statement; at least one.
fn batch_length(events: &[(usize, &NewFailedEvent)]) -> usize {
    let mut bytes = 0;
    let fitting = events.iter().take(BATCH_EVENTS).take_while(|(_, event)| {
        bytes += event.contents.size();
        bytes <= BATCH_BYTES
    });
    fitting.count().max(1)
}
