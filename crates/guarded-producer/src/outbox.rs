//! The outbox, in which events wait for Kafka to be back.

use std::sync::Arc;
use std::time::Duration;

use pg_lsn::Lsn;
use pg_replication::{Client, ConnectOptions, SlotName, connect_client};
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use crate::error::StoreError;
use crate::event::Event;

/// Whoever has the answer has the events, whatever the database does for others: hence no commit without a flush. An
/// event whose id is there already was stored by an attempt of which no answer came.
const INSERT: &str = "
    WITH durable AS (
        SELECT set_config(
            'synchronous_commit',
            CASE current_setting('synchronous_commit') WHEN 'off' THEN 'local' ELSE current_setting('synchronous_commit') END,
            true
        )
    )
    INSERT INTO cdc.outbox (id, aggregatetype, aggregateid, type, payload, headers)
    SELECT event.id::uuid, event.aggregatetype, event.aggregateid, event.type, event.payload::json, event.headers::jsonb
      FROM durable,
           unnest($1, $2, $3, $4, $5, $6) WITH ORDINALITY
               AS event(id, aggregatetype, aggregateid, type, payload, headers, place)
     ORDER BY event.place
    ON CONFLICT DO NOTHING";

/// A message that is no event: it ends a transaction, so that the slot moves past it as soon as it can, also in a
/// database where nothing else happens.
const MARK: &str = "SELECT pg_logical_emit_message(true, 'cdc.guarded-producer', '')::text";

const CONFIRMED: &str = "
    SELECT slot_name::text, confirmed_flush_lsn::text
      FROM pg_replication_slots WHERE slot_name = ANY ($1) AND confirmed_flush_lsn IS NOT NULL";

/// A session that is made when it is first needed, and anew after it was lost.
#[derive(Debug)]
pub(crate) struct Outbox {
    options: ConnectOptions,
    slots: Vec<String>,
    limit: Duration,
    client: Option<Client>,
}

impl Outbox {
    /// `limit` is the time that one call may take.
    pub(crate) fn new(options: ConnectOptions, slots: &[SlotName], limit: Duration) -> Self {
        Self {
            options,
            slots: slots.iter().map(ToString::to_string).collect(),
            limit,
            client: None,
        }
    }

    /// Stores events in the order given, all or none, and not a second time those that are there.
    ///
    /// After an error it is unknown whether they are stored, unless the error is the server's own.
    pub(crate) async fn store(&mut self, events: &[&Event]) -> Result<(), StoreError> {
        let ids: Vec<_> = events.iter().map(|event| event.id.to_string()).collect();
        let aggregate_types = column(events, |event| Some(&event.aggregate_type));
        let keys = column(events, |event| event.key.as_deref());
        let event_types = column(events, |event| Some(&event.event_type));
        let payloads = column(events, |event| {
            event.payload.as_ref().map(|payload| payload.as_str())
        });
        let headers: Vec<_> = events.iter().map(|event| event.headers_json()).collect();
        let parameters: [(&(dyn ToSql + Sync), Type); 6] = [
            (&ids, Type::TEXT_ARRAY),
            (&aggregate_types, Type::TEXT_ARRAY),
            (&keys, Type::TEXT_ARRAY),
            (&event_types, Type::TEXT_ARRAY),
            (&payloads, Type::TEXT_ARRAY),
            (&headers, Type::TEXT_ARRAY),
        ];
        self.query("store events in cdc.outbox", INSERT, &parameters)
            .await
            .map(drop)
    }

    /// A position in the log behind everything that this session has stored.
    pub(crate) async fn mark(&mut self) -> Result<Lsn, StoreError> {
        const DOING: &str = "write a mark into the log";
        let rows = self.query(DOING, MARK, &[]).await?;
        rows.first()
            .and_then(|row| row.try_get::<_, &str>(0).ok()?.parse().ok())
            .ok_or(StoreError::Unreadable { doing: DOING })
    }

    /// The position before which every relay has delivered everything.
    pub(crate) async fn confirmed(&mut self) -> Result<Lsn, StoreError> {
        const DOING: &str = "ask how far the relay has come";
        let slots = self.slots.clone();
        let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&slots, Type::TEXT_ARRAY)];
        let rows = self.query(DOING, CONFIRMED, &parameters).await?;
        let mut found = Vec::new();
        let mut lowest: Option<Lsn> = None;
        for row in &rows {
            let read = |index| row.try_get::<_, &str>(index).ok();
            let (name, text) = read(0)
                .zip(read(1))
                .ok_or(StoreError::Unreadable { doing: DOING })?;
            let lsn = text
                .parse()
                .map_err(|_| StoreError::Unreadable { doing: DOING })?;
            found.push(name);
            lowest = Some(lowest.map_or(lsn, |lowest| lowest.min(lsn)));
        }
        let missing = slots.iter().filter(|slot| !found.contains(&slot.as_str()));
        let missing: Vec<_> = missing.map(String::as_str).collect();
        match (missing.is_empty(), lowest) {
            (true, Some(lowest)) => Ok(lowest),
            _ => Err(StoreError::NoSlot {
                missing: missing.join(", "),
            }),
        }
    }

    /// A dropped call, or one that takes too long, closes the session.
    async fn query(
        &mut self,
        doing: &'static str,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, StoreError> {
        let limit = self.limit;
        timeout(limit, Box::pin(self.unlimited(doing, sql, parameters)))
            .await
            .unwrap_or(Err(StoreError::TimedOut { doing, limit }))
    }

    async fn unlimited(
        &mut self,
        doing: &'static str,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, StoreError> {
        let failed = |source| StoreError::Postgres {
            doing,
            source: Arc::new(source),
        };
        // Taken out while it is in use, so that it goes away with a call that is dropped.
        let client = match self.client.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => connect_client(&self.options).await.map_err(failed)?,
        };
        let rows = client
            .query_typed(sql, parameters)
            .await
            .map_err(|error| failed(error.into()));
        self.client = Some(client);
        rows
    }
}

/// One value of each event.
fn column<'a>(
    events: &'a [&Event],
    value: impl Fn(&'a Event) -> Option<&'a str>,
) -> Vec<Option<&'a str>> {
    events.iter().map(|event| value(event)).collect()
}
