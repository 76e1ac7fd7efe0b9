//! Messages of `pgoutput`, PostgreSQL's logical decoding plugin, in protocol version 1.
//!
//! Source: PostgreSQL documentation, "Logical Replication Message Formats". Values are not copied: they
//! refer to the buffer that was parsed, and keep it alive.
#![deny(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap
)]

mod begin;
mod commit;
mod delete;
#[cfg(test)]
mod encoder;
mod insert;
mod logical_message;
mod message;
mod origin;
mod relation;
mod truncate;
mod tuple;
mod r#type;
mod update;

use std::fmt;

pub use self::begin::Begin;
pub use self::commit::Commit;
pub use self::delete::Delete;
pub use self::insert::Insert;
pub use self::logical_message::LogicalMessage;
pub use self::message::Message;
pub use self::origin::Origin;
pub use self::relation::{Column, Relation, ReplicaIdentity};
pub use self::truncate::Truncate;
pub use self::tuple::{OldTuple, Tuple, TupleTooLarge, TupleValue, TupleValues};
pub use self::r#type::Type;
pub use self::update::Update;

/// The OID of a table, valid in one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelationId(pub u32);

/// The OID of a data type, valid in one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeOid(pub u32);

/// A transaction id. It wraps around: neither unique in time nor ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Xid(pub u32);

impl Xid {
    /// The number, from 3 for ordinary transactions.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for RelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for TypeOid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Xid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
