//! The tables that the stream, or a scan, has described.

use std::collections::HashMap;

use cdc_outbox::Layout;
use pg_replication::pgoutput::{Relation, RelationId};

use super::Contract;
use crate::relay::error::RelayError;

/// A table as it was last described.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) relation: Relation,
    /// `None`: it is published, but is not an outbox.
    pub(super) layout: Option<Layout>,
}

/// By the number that rows call them.
#[derive(Debug, Default)]
pub(super) struct Tables(HashMap<RelationId, Table>);

impl Tables {
    /// Fails for a table that was not described.
    pub(super) fn get(&self, relation: RelationId) -> Result<&Table, RelayError> {
        let table = self.0.get(&relation);
        table.ok_or(RelayError::UndescribedRelation { relation })
    }

    pub(super) fn has(&self, relation: RelationId) -> bool {
        self.0.contains_key(&relation)
    }

    /// Each has to be described again.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    /// From now on rows of the table are as `relation` says.
    pub(super) fn describe(
        &mut self,
        relation: &Relation,
        contract: &Contract,
    ) -> Result<(), RelayError> {
        let is_outbox = contract.names(relation);
        // Under its new name it would count as a table that is no outbox, and its rows would be lost.
        let before = self.0.get(&relation.id);
        if !is_outbox && let Some(before) = before.and_then(|table| table.layout.as_ref()) {
            return Err(RelayError::OutboxRenamed {
                before: before.table().to_owned(),
                after: format!("{}.{}", relation.namespace, relation.name),
            });
        }
        let layout = is_outbox.then(|| contract.layout(relation)).transpose()?;
        let table = Table {
            relation: relation.clone(),
            layout,
        };
        self.0.insert(relation.id, table);
        Ok(())
    }
}
