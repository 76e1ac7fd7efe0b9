//! Pages of lists.

use crate::terminal::say;

/// Rows of a list, and where it goes on.
#[derive(Debug)]
pub(super) struct Page<Row> {
    /// No more than were asked for.
    pub(super) rows: Vec<Row>,
    /// What `--after` takes to go on; `None` when there are no more.
    pub(super) next: Option<String>,
}

impl<Row> Page<Row> {
    /// Of the first rows that there are, one more than `limit` if there is one. `place` says where a row stands.
    pub(super) fn of(mut rows: Vec<Row>, limit: u32, place: impl FnOnce(&Row) -> String) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(place);
        Self { rows, next }
    }

    /// Says how to go on, for people.
    pub(super) fn say_next(&self) {
        if let Some(next) = &self.next {
            say(format!("… there are more: --after '{next}' goes on"));
        }
    }
}
