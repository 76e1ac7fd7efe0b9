//! What operators do with events of lanes.

use cdc_event::{Attempt, KafkaPosition, PartId, Record};
use tokio_postgres::types::Type;

use super::PostgresLanes;
use super::put::headers;
use super::row::{column, position};
use crate::error::Error;
use crate::lane_id::LaneId;
use crate::store::LaneEventId;

/// Bytes of a note.
const NOTE_BYTES: usize = 4096;

/// What an operator does with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Tries it again at once. A skipped or dead-lettered one runs by itself, beside its key: those that were behind
    /// it were handled long ago.
    Retry,
    /// It was dealt with elsewhere: those behind it go on.
    Resolve,
    /// It is given up for good: those behind it go on.
    Discard,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operated {
    /// Done, and on record in `cdc.lane_action`.
    Done,
    /// A worker has its lane at this moment: do it again.
    Busy,
    /// There is no such event, any more.
    Gone,
}

impl Action {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Resolve => "resolve",
            Self::Discard => "discard",
        }
    }
}

impl PostgresLanes {
    /// Tries a record again that was given up, with this value and these headers.
    pub(super) async fn put_back(
        &self,
        group: &str,
        record: &Record,
        attempt: Attempt,
        failed_event: Option<i64>,
    ) -> Result<Operated, Error> {
        let origin = &record.origin;
        let part = record.part.as_ref().map_or("", PartId::as_str);
        let alone = LaneId::by_itself(group, origin, part);
        let (names, values) = headers(record);
        let rows = self
            .client()
            .await?
            .query_typed(
                "SELECT cdc.lane_replay($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS answer",
                &[
                    (&group, Type::TEXT),
                    (&origin.topic, Type::TEXT),
                    (&origin.partition, Type::INT4),
                    (&origin.offset, Type::INT8),
                    (&part, Type::TEXT),
                    (&alone.as_bytes(), Type::BYTEA),
                    (&record.value, Type::BYTEA),
                    (&names, Type::TEXT_ARRAY),
                    (&values, Type::BYTEA_ARRAY),
                    (&record.timestamp_ms, Type::INT8),
                    (&i64::from(attempt.number.get()), Type::INT8),
                    (&failed_event, Type::INT8),
                ],
            )
            .await
            .map_err(Error::while_("put a record back into its lane"))?;
        operated(&rows)
    }

    /// Does something with an event. `actor` is who does it; `note`, of which 4096 bytes are kept, is why.
    ///
    /// May be dropped and done again: what is done is done once.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`].
    pub async fn operate(
        &self,
        event: LaneEventId,
        action: Action,
        actor: &str,
        note: Option<&str>,
    ) -> Result<Operated, Error> {
        let client = self.client().await?;
        let rows = client
            .query_typed(
                "SELECT consumer_group, origin_topic, origin_partition, origin_offset, part FROM cdc.lane_event WHERE id = $1",
                &[(&event.get(), Type::INT8)],
            )
            .await
            .map_err(Error::while_("read an event of a lane"))?;
        let Some(row) = rows.first() else {
            return Ok(Operated::Gone);
        };
        let origin: KafkaPosition = position(row)?;
        let alone = LaneId::by_itself(
            column(row, "consumer_group")?,
            &origin,
            column(row, "part")?,
        );
        let note = note.map(|note| &note[..note.floor_char_boundary(NOTE_BYTES)]);
        let rows = client
            .query_typed(
                "SELECT cdc.lane_operate($1, $2, $3, $4, $5) AS answer",
                &[
                    (&event.get(), Type::INT8),
                    (&action.as_str(), Type::TEXT),
                    (&alone.as_bytes(), Type::BYTEA),
                    (&actor, Type::TEXT),
                    (&note, Type::TEXT),
                ],
            )
            .await
            .map_err(Error::while_("change an event of a lane"))?;
        operated(&rows)
    }
}

fn operated(rows: &[tokio_postgres::Row]) -> Result<Operated, Error> {
    let answer: Option<&str> = rows.first().map(|row| column(row, "answer")).transpose()?;
    match answer {
        Some("done") => Ok(Operated::Done),
        Some("busy") => Ok(Operated::Busy),
        Some("gone" | "unknown") => Ok(Operated::Gone),
        other => Err(Error::unreadable(
            "answer",
            format!("{other:?} is no answer"),
        )),
    }
}
