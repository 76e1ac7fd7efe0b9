//! Records into lanes.

use std::borrow::Cow;

use cdc_event::{DeadHead, Record};
use serde_json::Value;
use tokio_postgres::types::Type;

use super::PostgresLanes;
use super::remainders;
use super::row::column;
use crate::assignment::{Assignment, Ownership};
use crate::error::Error;
use crate::lane_id::LaneId;
use crate::remainder::{Remainder, first_due};
use crate::store::Appended;

const PUT: &str = "\
    SELECT cdc.lane_put($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) AS answer";

impl PostgresLanes {
    /// Without remainders the record is appended, if anything is before it, and less than `most` events.
    pub(super) async fn put(
        &self,
        owner: &Ownership,
        lane: LaneId,
        record: &Record,
        remainders: Option<(&[Remainder], DeadHead)>,
        most: u64,
    ) -> Result<Appended, Error> {
        let Assignment {
            group,
            topic,
            partition,
            partition_count,
        } = &owner.assignment;
        let (names, values) = headers(record);
        let left: Option<Value> =
            remainders.map(|(left, policy)| remainders::to_json(left, policy));
        let due = remainders
            .and_then(|(left, _)| first_due(left))
            .map(|after| after.as_secs_f64());
        let rows = self
            .client()
            .await?
            .query_typed(
                PUT,
                &[
                    (group, Type::TEXT),
                    (topic, Type::TEXT),
                    (partition, Type::INT4),
                    (&owner.epoch.get(), Type::INT8),
                    (partition_count, Type::INT4),
                    (&record.origin.offset, Type::INT8),
                    (&lane.as_bytes(), Type::BYTEA),
                    (&record.key, Type::BYTEA),
                    (&record.value, Type::BYTEA),
                    (&names, Type::TEXT_ARRAY),
                    (&values, Type::BYTEA_ARRAY),
                    (&record.timestamp_ms, Type::INT8),
                    (&left, Type::JSONB),
                    (&due, Type::FLOAT8),
                    (&i64::try_from(most).unwrap_or(i64::MAX), Type::INT8),
                ],
            )
            .await
            .map_err(Error::while_("put a record into its lane"))?;
        let answer: Option<&str> = rows.first().map(|row| column(row, "answer")).transpose()?;
        match answer {
            Some("parked") => Ok(Appended::Parked),
            Some("drained") => Ok(Appended::Drained),
            Some("full") => Ok(Appended::Full),
            Some("fenced") => Err(Error::Fenced(owner.assignment.clone())),
            other => Err(Error::unreadable(
                "answer",
                format!("{other:?} is no answer"),
            )),
        }
    }
}

/// Names and values, as the functions of the database take them.
pub(super) fn headers(record: &Record) -> (Vec<Cow<'_, str>>, Vec<Option<&[u8]>>) {
    let headers = record.headers.as_slice().iter();
    headers
        .map(|header| (storable(&header.name), header.value.as_deref()))
        .unzip()
}

/// Kafka's clients take NUL for the end of a name, and no text in PostgreSQL can hold it.
fn storable(name: &str) -> Cow<'_, str> {
    if name.contains('\0') {
        Cow::Owned(name.replace('\0', "\u{FFFD}"))
    } else {
        Cow::Borrowed(name)
    }
}
