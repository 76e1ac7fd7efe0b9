//! What a table's description has for the settings.

use std::collections::HashSet;

use pg_replication::pgoutput::{Column, Relation, ReplicaIdentity};

use super::slot::{PlacedColumn, Slot};
use crate::settings::{MissingPlacement, OutboxSettings, Placement, Target};
use crate::value::{Handling, Type};

/// One table, to look columns up in.
pub(super) struct Table<'a> {
    pub(super) relation: &'a Relation,
    pub(super) name: String,
    pub(super) handling: Handling,
    pub(super) not_null: &'a HashSet<String>,
}

/// A table that cannot be an outbox with these settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnsuitableTable {
    /// The table has no such column, or the publication's column list leaves it out.
    #[error("table {table} does not publish the column {column:?}, which [outbox] {option} names")]
    MissingColumn {
        /// Schema and name.
        table: String,
        /// The column.
        column: String,
        /// The key in section `[outbox]`.
        option: &'static str,
    },
    /// The column is of a type that the option cannot use.
    #[error("column {column:?} of table {table} must be {expected}: [outbox] {option} names it")]
    WrongType {
        /// Schema and name.
        table: String,
        /// The column.
        column: String,
        /// The key in section `[outbox]`.
        option: &'static str,
        /// The types that can be used.
        expected: &'static str,
    },
}

impl Table<'_> {
    pub(super) fn find(&self, column: &str) -> Option<usize> {
        self.relation.columns.iter().position(|c| c.name == column)
    }

    fn missing(&self, option: &'static str, column: &str) -> UnsuitableTable {
        UnsuitableTable::MissingColumn {
            table: self.name.clone(),
            column: column.to_owned(),
            option,
        }
    }

    pub(super) fn need(
        &self,
        option: &'static str,
        column: &str,
    ) -> Result<usize, UnsuitableTable> {
        self.find(column)
            .ok_or_else(|| self.missing(option, column))
    }

    fn slot(&self, index: usize) -> Slot {
        let column = &self.relation.columns[index];
        let column_type = Type::of(column.type_oid, column.type_modifier, self.handling);
        Slot {
            index,
            name: column.name.clone(),
            column_type,
            schema: column_type.schema(!self.is_not_null(column)),
        }
    }

    pub(super) fn need_slot(
        &self,
        option: &'static str,
        column: &str,
    ) -> Result<Slot, UnsuitableTable> {
        self.need(option, column).map(|index| self.slot(index))
    }

    /// A slot of one of the types for which `fits` is true.
    pub(super) fn need_type(
        &self,
        option: &'static str,
        column: &str,
        expected: &'static str,
        fits: impl FnOnce(Type) -> bool,
    ) -> Result<Slot, UnsuitableTable> {
        let slot = self.need_slot(option, column)?;
        if fits(slot.column_type) {
            return Ok(slot);
        }
        Err(UnsuitableTable::WrongType {
            table: self.name.clone(),
            column: column.to_owned(),
            option,
            expected,
        })
    }

    /// The stream tells it for the columns of a primary key; the rest must come from the catalogue.
    fn is_not_null(&self, column: &Column) -> bool {
        let identity_is_key = match self.relation.replica_identity {
            ReplicaIdentity::Default | ReplicaIdentity::Index => true,
            ReplicaIdentity::Nothing | ReplicaIdentity::Full => false,
        };
        (identity_is_key && column.is_key) || self.not_null.contains(&column.name)
    }

    pub(super) fn placed(
        &self,
        settings: &OutboxSettings,
    ) -> Result<Vec<PlacedColumn>, UnsuitableTable> {
        let mut placed = Vec::new();
        for Placement {
            column,
            target,
            alias,
        } in &settings.placement
        {
            match (self.find(column), settings.missing_placement) {
                (Some(_), _) if *target == Target::Partition => {}
                (Some(index), _) => placed.push(PlacedColumn {
                    target: *target,
                    alias: alias.clone(),
                    slot: self.slot(index),
                }),
                (None, MissingPlacement::Ignore) => {}
                (None, MissingPlacement::Error) => return Err(self.missing("placement", column)),
            }
        }
        Ok(placed)
    }

    pub(super) fn partition(
        &self,
        settings: &OutboxSettings,
    ) -> Result<Option<usize>, UnsuitableTable> {
        let column = settings
            .placement
            .iter()
            .find(|placement| placement.target == Target::Partition)
            .filter(|placement| self.find(&placement.column).is_some());
        column
            .map(|placement| {
                self.need_type("placement", &placement.column, "an integer", is_integer)
                    .map(|slot| slot.index)
            })
            .transpose()
    }

    /// A tracing column, unless the placement list has it.
    pub(super) fn trace(
        &self,
        column: Option<&str>,
        header: &str,
        settings: &OutboxSettings,
    ) -> Option<usize> {
        let is_placed = settings.placement.iter().any(|placement| {
            placement.target == Target::Header
                && (placement.alias == header || Some(placement.column.as_str()) == column)
        });
        column
            .filter(|_| !is_placed)
            .and_then(|column| self.find(column))
    }
}

pub(super) const fn is_integer(column: Type) -> bool {
    matches!(column, Type::Int16 | Type::Int32 | Type::Int64)
}

pub(super) const fn is_time(column: Type) -> bool {
    matches!(
        column,
        Type::Timestamp(_)
            | Type::ZonedTimestamp(_)
            | Type::Date
            | Type::Int32
            | Type::Int64
            | Type::Text
    )
}
