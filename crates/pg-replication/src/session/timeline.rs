//! Asking for the history of a timeline.

use super::Session;
use crate::error::Error;
use crate::identity::{TimelineHistory, TimelineId};
use crate::protocol_error::ProtocolError;

impl Session {
    /// The timelines that `timeline` descends from. Ask for that of
    /// [`identify_system`](Self::identify_system): a server need not know others.
    ///
    /// # Errors
    ///
    /// [`Error::Server`] with 58P01 for a timeline whose history the server does not have.
    pub async fn timeline_history(
        &mut self,
        timeline: TimelineId,
    ) -> Result<TimelineHistory, Error> {
        // It has no history, and so no file that the server could send.
        if timeline == TimelineId::FIRST {
            return Ok(TimelineHistory::default());
        }
        let rows = self
            .simple_query(&format!("TIMELINE_HISTORY {timeline}"))
            .await?;
        let content = rows.first().and_then(|row| row.named("content"));
        content.and_then(|text| text.parse().ok()).ok_or_else(|| {
            ProtocolError::UnexpectedMessage {
                found: "another row",
                expected: "a timeline's history",
            }
            .into()
        })
    }
}
