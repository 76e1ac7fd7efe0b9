//! What endpoints missed while they were disabled, so that it can be sent to them after all.

use std::time::Duration;

use cdc_event::KafkaPosition;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{Deliveries, seconds};
use crate::endpoint::EndpointId;
use crate::error::Error;
use crate::session::{Parameter, column};

/// Of what an endpoint missed, that for which everything holds which is given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MissedFilter {
    /// Its record is in this topic.
    pub topic: Option<String>,
    /// It was missed longer ago than this.
    pub older_than: Option<Duration>,
    /// It was missed since this long ago.
    pub newer_than: Option<Duration>,
}

/// How much an endpoint missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MissedCount {
    /// Events of which it is known where their records are.
    pub events: u64,
    /// The others.
    pub nowhere: u64,
}

/// An event that an endpoint missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissedEvent {
    /// The event, as `webhook-id` has it.
    pub event_id: String,
    /// Where its record is.
    pub origin: KafkaPosition,
    /// Tells whether somebody had to do with it since.
    epoch: i64,
}

/// Their records, as far as it is known where these are: what the origin of a delivery says, taken apart.
const PLACES: &str = r"
      FROM cdc.delivery AS held
     CROSS JOIN LATERAL (
            SELECT parts[1] AS topic, parts[2]::int AS number, parts[3]::bigint AS record
              FROM (SELECT regexp_match(held.origin, '^(.+)\[(\d{1,9})\]@(\d{1,18})$') AS parts) AS origin) AS place
     WHERE held.endpoint_id = $1 AND held.code IS NOT NULL AND held.state = 'missed'
       AND ($2 IS NULL OR place.topic = $2)
       AND ($3 IS NULL OR held.changed_at < now() - make_interval(secs => $3))
       AND ($4 IS NULL OR held.changed_at >= now() - make_interval(secs => $4))";

/// The filter, as the first parameters of a statement.
struct Asked<'a> {
    endpoint: &'a str,
    topic: Option<&'a str>,
    older: Option<f64>,
    newer: Option<f64>,
}

impl Deliveries {
    /// How much an endpoint missed.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`], [`Error::Unreadable`].
    pub async fn count_missed(
        &mut self,
        endpoint: &EndpointId,
        filter: &MissedFilter,
    ) -> Result<MissedCount, Error> {
        let sql = format!(
            "SELECT count(place.topic) AS events, count(*) FILTER (WHERE place.topic IS NULL) AS nowhere {PLACES}"
        );
        let asked = Asked::of(endpoint, filter);
        let rows = self
            .session
            .query("count what was missed", &sql, &asked.parameters())
            .await?;
        let Some(row) = rows.first() else {
            return Ok(MissedCount::default());
        };
        let (events, nowhere): (i64, i64) = (column(row, "events")?, column(row, "nowhere")?);
        Ok(MissedCount {
            events: events.unsigned_abs(),
            nowhere: nowhere.unsigned_abs(),
        })
    }

    /// The first `limit` that an endpoint missed, in the order of their records: by topic, partition and offset. With
    /// `after`, those that come after that one.
    ///
    /// Each call looks at all that the endpoint missed: few calls with a large limit cost less.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`], [`Error::Unreadable`].
    pub async fn missed(
        &mut self,
        endpoint: &EndpointId,
        filter: &MissedFilter,
        after: Option<&MissedEvent>,
        limit: u32,
    ) -> Result<Vec<MissedEvent>, Error> {
        let sql = format!(
            r#"SELECT held.event_id, held.epoch, place.topic, place.number, place.record {PLACES}
                AND place.topic IS NOT NULL
                AND ($5 IS NULL OR (place.topic COLLATE "C", place.number, place.record, held.event_id COLLATE "C")
                                   > ($5, $6, $7, $8))
              ORDER BY place.topic COLLATE "C", place.number, place.record, held.event_id COLLATE "C" LIMIT $9"#
        );
        let asked = Asked::of(endpoint, filter);
        let topic = after.map(|event| event.origin.topic.as_str());
        let partition = after.map(|event| event.origin.partition);
        let offset = after.map(|event| event.origin.offset);
        let event = after.map(|event| event.event_id.as_str());
        let limit = i64::from(limit);
        let after: [Parameter<'_>; 5] = [
            (&topic, Type::TEXT),
            (&partition, Type::INT4),
            (&offset, Type::INT8),
            (&event, Type::TEXT),
            (&limit, Type::INT8),
        ];
        let parameters: Vec<_> = asked.parameters().into_iter().chain(after).collect();
        let rows = self
            .session
            .query("read what was missed", &sql, &parameters)
            .await?;
        rows.iter().map(missed).collect()
    }

    /// Notes that the records of these events are on their way to the endpoint once more. One that somebody else had to do
    /// with since, such as a notifier that was faster, stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`]. They are then missed still, and sending them again does no harm: who claims a delivery
    /// finds out whether it was made.
    pub async fn come_again(
        &mut self,
        endpoint: &EndpointId,
        events: &[&MissedEvent],
    ) -> Result<u64, Error> {
        // What is locked is being claimed. Nobody is waited for, so that nobody waits in a circle. The endpoint stands in
        // each row, and `(SELECT $2)` hides how many there are, so that the planner looks each up by its key.
        const SQL: &str = "
            WITH given AS MATERIALIZED (
                SELECT event_id, $1 AS endpoint_id, epoch FROM unnest((SELECT $2), (SELECT $3)) AS given (event_id, epoch)),
            free AS MATERIALIZED (
                SELECT held.event_id, held.endpoint_id FROM given
                  JOIN cdc.delivery AS held USING (event_id, endpoint_id)
                 WHERE held.state = 'missed' AND held.epoch = given.epoch
                   FOR UPDATE OF held SKIP LOCKED)
            UPDATE cdc.delivery AS held SET state = 'retrying', untold = false, changed_at = now()
              FROM free WHERE held.event_id = free.event_id AND held.endpoint_id = free.endpoint_id";
        let ids: Vec<&str> = events.iter().map(|event| &*event.event_id).collect();
        let epochs: Vec<i64> = events.iter().map(|event| event.epoch).collect();
        let parameters: [Parameter<'_>; 3] = [
            (&endpoint.as_str(), Type::TEXT),
            (&ids, Type::TEXT_ARRAY),
            (&epochs, Type::INT8_ARRAY),
        ];
        self.session
            .execute("note what comes again", SQL, &parameters)
            .await
    }
}

impl<'a> Asked<'a> {
    fn of(endpoint: &'a EndpointId, filter: &'a MissedFilter) -> Self {
        Self {
            endpoint: endpoint.as_str(),
            topic: filter.topic.as_deref(),
            older: filter.older_than.map(seconds),
            newer: filter.newer_than.map(seconds),
        }
    }

    fn parameters(&self) -> [Parameter<'_>; 4] {
        [
            (&self.endpoint, Type::TEXT),
            (&self.topic, Type::TEXT),
            (&self.older, Type::FLOAT8),
            (&self.newer, Type::FLOAT8),
        ]
    }
}

fn missed(row: &Row) -> Result<MissedEvent, Error> {
    Ok(MissedEvent {
        event_id: column(row, "event_id")?,
        origin: KafkaPosition {
            topic: column(row, "topic")?,
            partition: column(row, "number")?,
            offset: column(row, "record")?,
        },
        epoch: column(row, "epoch")?,
    })
}
