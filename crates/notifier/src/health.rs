//! Notes how endpoints do, and disables those that do nothing but fail.

use std::time::Duration;

use tokio_postgres::types::Type;

use crate::alert::DisabledReason;
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

/// Writes notes down.
#[derive(Debug)]
pub(crate) struct Noting {
    pub(crate) session: Session,
    pub(crate) disable_after: Option<Duration>,
}

/// One statement for all three. A time of failure begins with the first failure, or anew after a gap.
const SQL: &str = "
    WITH noted AS MATERIALIZED (
        SELECT endpoint.id, bool_or(note.condition = 'gone') AS gone, bool_or(note.condition = 'fails') AS fails,
               CASE WHEN endpoint.last_failed_at > now() - make_interval(secs => $4) THEN endpoint.first_failed_at
                    ELSE now() END AS since
          FROM unnest($1, $2) AS note (id, condition)
          JOIN cdc.endpoint AS endpoint ON endpoint.id = note.id
         WHERE endpoint.state = 'enabled'
         GROUP BY endpoint.id),
    judged AS MATERIALIZED (
        SELECT *, CASE WHEN gone THEN 'gone'
                       WHEN fails AND since <= now() - make_interval(secs => $3) THEN 'failing' END AS reason
          FROM noted),
    disabled AS (
        UPDATE cdc.endpoint AS endpoint
           SET first_failed_at = CASE WHEN gone OR fails THEN since END,
               last_failed_at = CASE WHEN gone OR fails THEN now() END,
               state = CASE WHEN reason IS NULL THEN 'enabled' ELSE 'disabled' END,
               disabled_reason = reason,
               disabled_at = CASE WHEN reason IS NOT NULL THEN now() END
          FROM judged
         WHERE endpoint.id = judged.id AND endpoint.state = 'enabled'
        RETURNING endpoint.id, reason)
    SELECT id, reason FROM disabled WHERE reason IS NOT NULL";

impl Work for Noting {
    type Item = Note;
    /// Why the endpoint was disabled, given to one of its notes.
    type Answer = Option<DisabledReason>;

    async fn run(&mut self, items: &[Note]) -> Result<Vec<Option<DisabledReason>>, Error> {
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
            let (id, reason): (&str, &str) = (column(row, "id")?, column(row, "reason")?);
            let reason = if reason == DisabledReason::Gone.as_str() {
                DisabledReason::Gone
            } else {
                DisabledReason::Failing
            };
            if let Some(place) = items.iter().position(|item| item.endpoint.as_str() == id) {
                answers[place] = Some(reason);
            }
        }
        Ok(answers)
    }
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
