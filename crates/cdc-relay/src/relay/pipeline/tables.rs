//! The tables that the stream, or a scan, has described.

use std::collections::HashMap;

use cdc_outbox::Layout;
use pg_replication::pgoutput::{Relation, RelationId};

use super::{Contract, Obstacle};
use crate::config::OutboxTable;
use crate::relay::error::RelayError;
use crate::relay::partition::Membership;

/// A table as it was last described.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) relation: Relation,
    /// `None`: it is published, but is not an outbox.
    pub(super) layout: Option<Layout>,
}

/// What a table is to the relay.
enum Role {
    Outbox,
    PartOf(OutboxTable),
    Other,
    /// Nobody has looked yet.
    Unknown,
}

/// By the number that rows call them.
#[derive(Debug, Default)]
pub(super) struct Tables {
    described: HashMap<RelationId, Table>,
    /// Partitions with names of their own, and the outboxes that they are of. Those that are detached stay: what was
    /// written to them before may be still to come.
    parts: HashMap<RelationId, OutboxTable>,
    /// To the last question.
    answer: Option<(RelationId, Membership)>,
}

impl Tables {
    /// Fails for a table that was not described.
    pub(super) fn get(&self, relation: RelationId) -> Result<&Table, RelayError> {
        let table = self.described.get(&relation);
        table.ok_or(RelayError::UndescribedRelation { relation })
    }

    pub(super) fn has(&self, relation: RelationId) -> bool {
        self.described.contains_key(&relation)
    }

    /// Each has to be described again.
    pub(super) fn forget(&mut self) {
        self.described.clear();
    }

    /// What the catalogue says of a table that was in the way.
    pub(super) fn answer(&mut self, relation: RelationId, membership: Membership) {
        self.answer = Some((relation, membership));
    }

    /// From now on rows of the table are as `relation` says, unless somebody has to look first whose part it is.
    pub(super) fn describe(
        &mut self,
        relation: &Relation,
        contract: &Contract,
    ) -> Result<Option<Obstacle>, RelayError> {
        let layout = match self.role(relation, contract)? {
            Role::Outbox => Some(contract.layout(relation)?),
            Role::PartOf(outbox) => Some(contract.layout(&Relation {
                namespace: outbox.schema().to_owned(),
                name: outbox.name().to_owned(),
                ..relation.clone()
            })?),
            Role::Other => None,
            Role::Unknown => return Ok(Some(Obstacle::UnseenTable(relation.id))),
        };
        let table = Table {
            relation: relation.clone(),
            layout,
        };
        self.described.insert(relation.id, table);
        Ok(None)
    }

    fn role(&mut self, relation: &Relation, contract: &Contract) -> Result<Role, RelayError> {
        if contract.names(relation) {
            return Ok(Role::Outbox);
        }
        if let Some(outbox) = self.parts.get(&relation.id) {
            return Ok(Role::PartOf(outbox.clone()));
        }
        // Under its new name it would count as a table that is no outbox, and its rows would be lost.
        let before = self.described.get(&relation.id);
        if let Some(before) = before.and_then(|table| table.layout.as_ref()) {
            return Err(RelayError::OutboxRenamed {
                before: before.table().to_owned(),
                after: format!("{}.{}", relation.namespace, relation.name),
            });
        }
        if contract.config.tables.is_empty() {
            return Ok(Role::Other);
        }
        let outbox = match self.answer.take_if(|(id, _)| *id == relation.id) {
            None => return Ok(Role::Unknown),
            Some((_, Membership::PartOf(outbox))) => Some(outbox),
            Some((_, Membership::Gone)) => contract.fitting(relation).cloned(),
            Some((_, Membership::Unrelated)) => None,
        };
        let Some(outbox) = outbox else {
            return Ok(Role::Other);
        };
        self.parts.insert(relation.id, outbox.clone());
        Ok(Role::PartOf(outbox))
    }
}
