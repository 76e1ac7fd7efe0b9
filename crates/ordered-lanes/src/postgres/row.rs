//! Rows of the lanes as values.

use std::time::SystemTime;

use cdc_event::{Headers, KafkaPosition, PartId, Record, Turn};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::error::Error;
use crate::lane_id::LaneId;
use crate::store::{LaneEventId, ParkedEvent};

/// What [`parked_event`] reads, besides `lane.abandoned` and `given_up`.
pub(super) const EVENT: &str = "event.id, event.origin_topic, event.origin_partition, event.origin_offset, event.part, \
     event.key, event.value, event.header_names, event.header_values, event.record_timestamp, event.attempts, \
     event.delays, event.first_failed_at";

/// A column of a row; its name is one that the statement gives.
pub(super) fn column<'a, T: FromSql<'a>>(row: &'a Row, name: &'static str) -> Result<T, Error> {
    row.try_get(name)
        .map_err(|error| Error::unreadable(name, error))
}

pub(super) fn lane_id(row: &Row, name: &'static str) -> Result<LaneId, Error> {
    LaneId::from_bytes(column(row, name)?)
        .ok_or_else(|| Error::unreadable(name, "a lane's id has 16 bytes"))
}

pub(super) fn position(row: &Row) -> Result<KafkaPosition, Error> {
    Ok(KafkaPosition {
        topic: column(row, "origin_topic")?,
        partition: column(row, "origin_partition")?,
        offset: column(row, "origin_offset")?,
    })
}

pub(super) fn part(row: &Row) -> Result<Option<PartId>, Error> {
    let name: &str = column(row, "part")?;
    if name.is_empty() {
        return Ok(None);
    }
    PartId::new(name)
        .map(Some)
        .map_err(|error| Error::unreadable("part", error))
}

/// From [`EVENT`], `lane.abandoned` and `given_up`.
pub(super) fn parked_event(row: &Row) -> Result<ParkedEvent, Error> {
    let names: Vec<String> = column(row, "header_names")?;
    let values: Vec<Option<Vec<u8>>> = column(row, "header_values")?;
    let mut headers = Headers::new();
    for (name, value) in names.into_iter().zip(values) {
        headers.push(name, value);
    }
    let attempts: i32 = column(row, "attempts")?;
    let delays: i32 = column(row, "delays")?;
    let abandoned: i32 = column(row, "abandoned")?;
    let given_up: bool = column(row, "given_up")?;
    let first_failed_at: Option<SystemTime> = column(row, "first_failed_at")?;
    Ok(ParkedEvent {
        id: LaneEventId::new(column(row, "id")?),
        record: Record {
            origin: position(row)?,
            part: part(row)?,
            key: column(row, "key")?,
            value: column(row, "value")?,
            headers,
            timestamp_ms: column(row, "record_timestamp")?,
        },
        attempts: attempts.unsigned_abs(),
        delays: u16::try_from(delays).unwrap_or(u16::MAX),
        abandoned: abandoned.unsigned_abs(),
        first_failed_at,
        turn: if given_up { Turn::GiveUp } else { Turn::Try },
    })
}
