//! Rows of the store as values.

use std::time::SystemTime;

use cdc_event::{ChangeIndex, Headers, KafkaPosition, PartId, Position};
use pg_lsn::Lsn;
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, PgLsn};

use crate::error::Error;
use crate::error_report::ErrorReport;
use crate::failed_event::{FailedEvent, FailedEventId};
use crate::fingerprint::Fingerprint;
use crate::origin::{Origin, Source};
use crate::record::{Contents, Target, headers_from_json};

/// Everything but the bulk.
pub(super) const SUMMARY: &str = "id, source, event_id, system_id, slot, commit_lsn, change_index, \
     consumer_group, origin_topic, origin_partition, origin_offset, part, topic, partition, key, \
     octet_length(payload)::bigint AS payload_bytes, error_code, error_message, error_chain, attempts, \
     first_failed_at, last_failed_at, fingerprint, status, status_changed_at, status_changed_by, note, lease_until";

/// A column of a row; its name is one that the statement gives.
pub(super) fn column<'a, T: FromSql<'a>>(row: &'a Row, name: &'static str) -> Result<T, Error> {
    row.try_get(name)
        .map_err(|error| Error::unreadable(name, error))
}

/// A column whose text has a type of its own.
pub(super) fn parsed<T>(row: &Row, name: &'static str) -> Result<T, Error>
where
    T: std::str::FromStr,
    T::Err: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let text: &str = column(row, name)?;
    text.parse().map_err(|error| Error::unreadable(name, error))
}

pub(super) fn id(row: &Row) -> Result<FailedEventId, Error> {
    column(row, "id").map(FailedEventId::new)
}

/// From [`SUMMARY`].
pub(super) fn failed_event(row: &Row) -> Result<FailedEvent, Error> {
    let size: Option<i64> = column(row, "payload_bytes")?;
    let attempts: i32 = column(row, "attempts")?;
    Ok(FailedEvent {
        id: id(row)?,
        origin: origin(row)?,
        event_id: column(row, "event_id")?,
        target: target(row)?,
        key: column(row, "key")?,
        payload_bytes: size.map(i64::unsigned_abs),
        error: error(row)?,
        attempts: attempts.unsigned_abs(),
        first_failed_at: column(row, "first_failed_at")?,
        last_failed_at: column(row, "last_failed_at")?,
        fingerprint: Fingerprint::from_text(column::<String>(row, "fingerprint")?),
        status: parsed(row, "status")?,
        status_changed_at: column(row, "status_changed_at")?,
        status_changed_by: column(row, "status_changed_by")?,
        note: column(row, "note")?,
        lease_until: column::<Option<SystemTime>>(row, "lease_until")?,
    })
}

/// From the columns of the table.
pub(super) fn contents(row: &Row) -> Result<Contents, Error> {
    Ok(Contents {
        key: column(row, "key")?,
        payload: column(row, "payload")?,
        headers: headers(row)?,
        timestamp_ms: column(row, "record_timestamp")?,
    })
}

pub(super) fn target(row: &Row) -> Result<Option<Target>, Error> {
    let topic: Option<String> = column(row, "topic")?;
    let partition = column(row, "partition")?;
    Ok(topic.map(|topic| Target { topic, partition }))
}

fn headers(row: &Row) -> Result<Headers, Error> {
    headers_from_json(column(row, "headers")?).map_err(|error| Error::unreadable("headers", error))
}

pub(super) fn error(row: &Row) -> Result<ErrorReport, Error> {
    let chain: Vec<String> = serde_json::from_value(column::<Value>(row, "error_chain")?)
        .map_err(|error| Error::unreadable("error_chain", error))?;
    Ok(ErrorReport::new(
        column(row, "error_code")?,
        column(row, "error_message")?,
        chain.iter().map(String::as_str),
    ))
}

/// Which columns are set is checked by the table.
pub(super) fn origin(row: &Row) -> Result<Origin, Error> {
    if column::<&str>(row, "source")? == Source::Relay.as_str() {
        let lsn: PgLsn = column(row, "commit_lsn")?;
        let index: i64 = column(row, "change_index")?;
        return Ok(Origin::Relay {
            system_id: parsed(row, "system_id")?,
            slot: parsed(row, "slot")?,
            position: Position {
                commit_lsn: Lsn::new(lsn.into()),
                index: ChangeIndex::new(index.unsigned_abs()),
            },
        });
    }
    Ok(Origin::Consumer {
        group: column(row, "consumer_group")?,
        record: KafkaPosition {
            topic: column(row, "origin_topic")?,
            partition: column(row, "origin_partition")?,
            offset: column(row, "origin_offset")?,
        },
        part: part(row)?,
    })
}

fn part(row: &Row) -> Result<Option<PartId>, Error> {
    let name: &str = column(row, "part")?;
    let part = (!name.is_empty()).then(|| PartId::new(name)).transpose();
    part.map_err(|error| Error::unreadable("part", error))
}
