//! Looks at failures.

use std::time::SystemTime;

use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::FailedEvents;
use super::claim::numbers;
use super::row::{SUMMARY, column, contents, failed_event, id, origin, parsed};
use crate::error::Error;
use crate::failed_event::{
    Action, FailedEvent, FailedEventDetails, FailedEventId, ReplacedPayload,
};
use crate::filter::{CONDITION, Filter, LIMIT, REPLAY_ORDER};
use crate::origin::Origin;

/// A value of a statement, and its type.
type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// A failed event that can be dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selected {
    /// Its number.
    pub id: FailedEventId,
    /// Whether there is a record to be sent.
    pub replayable: bool,
}

/// Where a failed event stands in a list: the last failure comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListPlace {
    /// When it failed last.
    pub last_failed_at: SystemTime,
    /// Its number.
    pub id: FailedEventId,
}

/// Open, or held by a replay that did not end in time.
pub(super) const UNHELD: &str = "(status = 'open' OR status = 'replaying' AND lease_until < now())";

impl FailedEvents {
    /// The failed events that `filter` means, the last failure first, at most `limit`.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`], [`Error::Unreadable`].
    pub async fn list(&mut self, filter: &Filter, limit: u32) -> Result<Vec<FailedEvent>, Error> {
        self.page(filter, None, limit).await
    }

    /// As [`list`](Self::list), but those that come after `after` in this order. An event that failed again meanwhile
    /// comes before all of them.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// As of [`list`](Self::list).
    pub async fn page(
        &mut self,
        filter: &Filter,
        after: Option<ListPlace>,
        limit: u32,
    ) -> Result<Vec<FailedEvent>, Error> {
        let sql = format!(
            "SELECT {SUMMARY} FROM cdc.failed_event
              WHERE {CONDITION} AND ($12 IS NULL OR (last_failed_at, id) < ($12, $13))
              ORDER BY last_failed_at DESC, id DESC LIMIT {LIMIT}"
        );
        let failed_at = after.map(|place| place.last_failed_at);
        let id = after.map(|place| place.id.get());
        let more: [Parameter<'_>; 2] = [(&failed_at, Type::TIMESTAMPTZ), (&id, Type::INT8)];
        let rows = self.filtered(&sql, filter, limit, &more).await?;
        rows.iter().map(failed_event).collect()
    }

    /// The numbers of the failed events that `filter` means and that nobody deals with: open ones, and those whose
    /// replay did not end in time. In the order in which they are to be replayed, that of their origins, at most
    /// `limit`.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`].
    pub async fn select(&mut self, filter: &Filter, limit: u32) -> Result<Vec<Selected>, Error> {
        let sql = format!(
            "SELECT id, topic IS NOT NULL AS replayable FROM cdc.failed_event
              WHERE {CONDITION} AND {UNHELD} ORDER BY {REPLAY_ORDER} LIMIT {LIMIT}"
        );
        let rows = self.filtered(&sql, filter, limit, &[]).await?;
        let selected = |row: &Row| {
            Ok(Selected {
                id: id(row)?,
                replayable: column(row, "replayable")?,
            })
        };
        rows.iter().map(selected).collect()
    }

    /// One failed event with everything, if there is one of this number.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`], [`Error::Unreadable`].
    pub async fn get(
        &mut self,
        wanted: FailedEventId,
    ) -> Result<Option<FailedEventDetails>, Error> {
        let client = self.client().await?;
        let read = Error::while_("read a failed event");
        let number = wanted.get();
        let sql = format!(
            "SELECT {SUMMARY}, error_backtrace, payload, headers, record_timestamp FROM cdc.failed_event WHERE id = $1"
        );
        let Some(row) = client
            .query_typed_opt(&sql, &[(&number, Type::INT8)])
            .await
            .map_err(&read)?
        else {
            return Ok(None);
        };
        let actions = client
            .query_typed(
                "SELECT status, at, actor, note, payload_replaced, replaced_payload
                   FROM cdc.failed_event_action WHERE failed_event_id = $1 ORDER BY id",
                &[(&number, Type::INT8)],
            )
            .await
            .map_err(&read)?;
        let event = failed_event(&row)?;
        let backtrace: Option<&str> = column(&row, "error_backtrace")?;
        Ok(Some(FailedEventDetails {
            event: FailedEvent {
                error: event.error.with_backtrace(backtrace),
                ..event
            },
            contents: contents(&row)?,
            actions: actions.iter().map(action).collect::<Result<_, _>>()?,
        }))
    }

    /// Where the failed events of these numbers came from; those that do not exist are left out.
    ///
    /// For a dead letter that says which failed event it was replayed from, and has lost where that came from. Cancel
    /// safe.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`], [`Error::Unreadable`].
    pub async fn origins(
        &mut self,
        ids: &[FailedEventId],
    ) -> Result<Vec<(FailedEventId, Origin)>, Error> {
        let numbers = numbers(ids);
        let sql = format!("SELECT {SUMMARY} FROM cdc.failed_event WHERE id = ANY ($1)");
        let rows = self
            .client()
            .await?
            .query_typed(&sql, &[(&numbers, Type::INT8_ARRAY)])
            .await
            .map_err(Error::while_("look up failed events"))?;
        rows.iter()
            .map(|row| Ok((id(row)?, origin(row)?)))
            .collect()
    }

    /// `more` are the parameters after [`LIMIT`].
    async fn filtered(
        &mut self,
        sql: &str,
        filter: &Filter,
        limit: u32,
        more: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Error> {
        let bound = filter.bind();
        let limit = i64::from(limit);
        let mut parameters = bound.parameters();
        parameters.push((&limit, Type::INT8));
        parameters.extend_from_slice(more);
        self.client()
            .await?
            .query_typed(sql, &parameters)
            .await
            .map_err(Error::while_("read failed events"))
    }
}

fn action(row: &Row) -> Result<Action, Error> {
    let replaced: bool = column(row, "payload_replaced")?;
    let replaced = replaced.then(|| column(row, "replaced_payload"));
    Ok(Action {
        status: parsed(row, "status")?,
        at: column(row, "at")?,
        actor: column(row, "actor")?,
        note: column(row, "note")?,
        replaced: replaced
            .transpose()?
            .map(|payload| ReplacedPayload { payload }),
    })
}
