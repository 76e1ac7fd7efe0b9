//! The events of the run.

use anyhow::Result;

use crate::database::Session;

/// Keys, so that many are under way at once.
const KEYS: u32 = 40;

/// Commits events, each in a transaction of its own.
pub(super) async fn commit(
    session: &Session,
    numbers: std::ops::RangeInclusive<u32>,
) -> Result<()> {
    for number in numbers {
        let (id, key) = (id(number), number % KEYS);
        let sql = format!("SELECT cdc.emit('order', 'k{key}', 'Happened', '{{}}', NULL, '{id}')");
        session.batch_execute(&sql).await?;
    }
    Ok(())
}

/// The id of an event.
pub(super) fn id(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// The number of an event.
pub(super) fn number(id: &str) -> Option<u32> {
    id.rsplit('-').next()?.parse().ok()
}
