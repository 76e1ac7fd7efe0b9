//! Rows that are read from their table, and what the stream then brings of them a second time.

use std::borrow::Cow;

use pg_lsn::Lsn;
use pg_replication::pgoutput::{Relation, Tuple};

use super::{Obstacle, Pipeline};
use crate::relay::backfill::Overlap;
use crate::relay::error::RelayError;
use crate::relay::outbound::{Mark, MarkKind, Outbound};

/// Which event a row is, and where it goes.
#[derive(Debug, Clone)]
pub(in crate::relay) struct Identity<'a> {
    pub(in crate::relay) id: Cow<'a, [u8]>,
    pub(in crate::relay) topic: &'a str,
}

impl Pipeline {
    /// The stream comes next. What it sends of the rows that were read does not count twice; and it describes its tables
    /// itself: what was read as a part of an outbox it calls by the partition's own name.
    pub(in crate::relay) fn reading_is_over(&mut self, overlap: Option<Overlap>) {
        self.tables.forget();
        self.overlap = overlap;
    }

    /// The stream is at `lsn`.
    pub(super) fn end_overlap(&mut self, lsn: Lsn, outbound: &mut Outbound) {
        if self
            .overlap
            .as_ref()
            .is_some_and(|overlap| overlap.is_over(lsn))
        {
            self.overlap = None;
            outbound.mark(Mark {
                kind: MarkKind::Backfill(None),
                token: None,
            });
        }
    }

    /// Which event a row of a table is; `None` when it is none.
    pub(in crate::relay) fn identify<'a>(
        &'a mut self,
        relation: &Relation,
        tuple: &'a Tuple,
    ) -> Result<Option<Identity<'a>>, RelayError> {
        if !self.contract.takes_row(relation, tuple) {
            return Ok(None);
        }
        if !self.tables.has(relation.id) {
            self.tables.describe(relation, &self.contract)?;
        }
        let Some(layout) = &self.tables.get(relation.id)?.layout else {
            return Ok(None);
        };
        let event = self.contract.encoder.row(layout, tuple, None).ok();
        Ok(event.map(|event| Identity {
            id: event.id,
            topic: event.topic,
        }))
    }

    /// A row that was read from its table.
    pub(in crate::relay) fn backfill(
        &mut self,
        relation: &Relation,
        tuple: &Tuple,
        outbound: &mut Outbound,
    ) -> Result<Option<Obstacle>, RelayError> {
        if !self.contract.takes_row(relation, tuple) {
            return Ok(None);
        }
        if !self.tables.has(relation.id) {
            self.tables.describe(relation, &self.contract)?;
        }
        self.row(relation.id, tuple, outbound)
    }
}
