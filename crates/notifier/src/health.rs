//! Notes how endpoints do, and disables those that do nothing but fail.

use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::alert::{DisabledReason, Warning};
use crate::batch::Work;
use crate::endpoint::EndpointId;
use crate::error::Error;
use crate::session::{Session, column};

/// A failure this long after the one before begins a new time of failure: an endpoint that is rarely used is not
/// disabled for two bad days in a year.
const GAP: Duration = Duration::from_secs(86_400);

/// How an endpoint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// It works again.
    Works,
    /// It fails.
    Fails,
    /// It wants nothing any more.
    Gone,
}

/// How an endpoint does.
#[derive(Debug)]
pub(crate) struct Note {
    pub(crate) endpoint: EndpointId,
    pub(crate) condition: Condition,
}

/// What a note led to, once for each endpoint and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consequence {
    Disabled(DisabledReason),
    Warned(Warning),
}

/// Writes notes down.
#[derive(Debug)]
pub(crate) struct Noting {
    pub(crate) session: Session,
    pub(crate) disable_after: Option<Duration>,
}

/// One statement for all three. A time of failure begins with the first failure, or anew after a gap.
///
/// Which warnings are due follows from when it failed last: those for the tenths of the time that have ended since. The
/// rows are locked before they are read, so that of two processes only one finds so. `now()` may then lie before what the
/// other wrote; the clock does not.
///
/// What is to be told is written with what it is about, and what is no longer true is not told.
const SQL: &str = "
    WITH locked AS MATERIALIZED (
        SELECT id, first_failed_at, last_failed_at FROM cdc.endpoint
         WHERE id = ANY ($1) AND state = 'enabled' ORDER BY id FOR UPDATE),
    noted AS MATERIALIZED (
        SELECT locked.id, clock_timestamp() AS at, bool_or(note.condition = 'gone') AS gone,
               bool_or(note.condition = 'fails') AS fails, min(locked.last_failed_at) AS before,
               CASE WHEN min(locked.last_failed_at) > now() - make_interval(secs => $4) THEN min(locked.first_failed_at)
                    ELSE clock_timestamp() END AS since
          FROM unnest($1, $2) AS note (id, condition) JOIN locked ON locked.id = note.id
         GROUP BY locked.id),
    judged AS MATERIALIZED (
        SELECT *, CASE WHEN gone THEN 'gone'
                       WHEN fails AND since <= at - make_interval(secs => $3) THEN 'failing' END AS reason,
               (SELECT max(percent) FROM unnest(ARRAY[50, 70, 90]) AS percent
                 WHERE fails AND since + make_interval(secs => $3 * percent / 100) <= at
                   AND since + make_interval(secs => $3 * percent / 100) > before) AS percent
          FROM noted),
    written AS (
        UPDATE cdc.endpoint AS endpoint
           SET first_failed_at = CASE WHEN gone OR fails THEN since END,
               last_failed_at = CASE WHEN gone OR fails THEN at END,
               state = CASE WHEN reason IS NULL THEN 'enabled' ELSE 'disabled' END,
               disabled_reason = reason,
               disabled_at = CASE WHEN reason IS NOT NULL THEN at END,
               (news_at, news_percent, news_due_at, news_tries) = (
                   SELECT CASE WHEN is_news THEN at WHEN goes_on THEN endpoint.news_at END,
                          CASE WHEN is_news THEN CASE WHEN reason IS NULL THEN percent END
                               WHEN goes_on THEN endpoint.news_percent END,
                          CASE WHEN is_news THEN at WHEN goes_on THEN endpoint.news_due_at END,
                          CASE WHEN is_news THEN 0 WHEN goes_on THEN endpoint.news_tries END
                     FROM (SELECT reason IS NOT NULL OR percent IS NOT NULL, gone OR fails) AS looked (is_news, goes_on))
          FROM judged
         WHERE endpoint.id = judged.id AND endpoint.state = 'enabled')
    SELECT id, reason, percent,
           extract(epoch FROM since + make_interval(secs => $3) - at)::float8 AS seconds_left
      FROM judged WHERE reason IS NOT NULL OR percent IS NOT NULL";

impl Work for Noting {
    type Item = Note;
    /// What came of it, given to one of the endpoint's notes.
    type Answer = Option<Consequence>;

    async fn run(&mut self, items: &[Note]) -> Result<Vec<Option<Consequence>>, Error> {
        let ids: Vec<&str> = items.iter().map(|item| item.endpoint.as_str()).collect();
        let conditions: Vec<&str> = items.iter().map(|item| item.condition.as_str()).collect();
        let disable_after = self.disable_after.map(|after| after.as_secs_f64());
        let rows = self
            .session
            .query(
                "note how endpoints do",
                SQL,
                &[
                    (&ids, Type::TEXT_ARRAY),
                    (&conditions, Type::TEXT_ARRAY),
                    (&disable_after, Type::FLOAT8),
                    (&GAP.as_secs_f64(), Type::FLOAT8),
                ],
            )
            .await?;
        let mut answers = vec![None; items.len()];
        for row in &rows {
            let id: &str = column(row, "id")?;
            if let Some(place) = items.iter().position(|item| item.endpoint.as_str() == id) {
                answers[place] = consequence(row)?;
            }
        }
        Ok(answers)
    }
}

fn consequence(row: &Row) -> Result<Option<Consequence>, Error> {
    let reason: Option<&str> = column(row, "reason")?;
    if let Some(reason) = reason {
        return Ok(Some(Consequence::Disabled(DisabledReason::stored(reason))));
    }
    let percent: Option<i32> = column(row, "percent")?;
    let left: Option<f64> = column(row, "seconds_left")?;
    Ok(percent
        .and_then(|percent| u8::try_from(percent).ok())
        .map(|percent| {
            let left = Duration::try_from_secs_f64(left.unwrap_or_default()).unwrap_or_default();
            Consequence::Warned(Warning { percent, left })
        }))
}

impl Condition {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Fails => "fails",
            Self::Gone => "gone",
        }
    }
}
