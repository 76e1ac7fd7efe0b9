//! Any message of pgoutput.

use bytes::{Buf, Bytes};

use super::{Begin, Commit, Delete, Insert, Message, Origin, Relation, Truncate, Type, Update};
use crate::body::Body;
use crate::protocol_error::ProtocolError;

/// Any message of pgoutput, protocol version 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogicalMessage {
    /// A transaction starts.
    Begin(Begin),
    /// The transaction is complete.
    Commit(Commit),
    /// The transaction came here from another server.
    Origin(Origin),
    /// A table, before its first row and again after a change.
    Relation(Relation),
    /// A data type that is not built in, before the first table that uses it.
    Type(Type),
    /// A new row.
    Insert(Insert),
    /// A changed row.
    Update(Update),
    /// A removed row.
    Delete(Delete),
    /// Emptied tables.
    Truncate(Truncate),
    /// What an application wrote with `pg_logical_emit_message`.
    Message(Message),
}

impl LogicalMessage {
    /// Parses one message, the whole of `bytes`.
    ///
    /// # Errors
    ///
    /// [`ProtocolError`] for anything that is not exactly one message of protocol version 1, among them
    /// the messages of streamed and two-phase transactions (versions 2 to 4).
    pub fn parse(mut bytes: Bytes) -> Result<Self, ProtocolError> {
        let Ok(tag) = bytes.try_get_u8() else {
            return Err(ProtocolError::Truncated {
                message: "pgoutput message",
                offset: 0,
                expected: "the kind of message",
            });
        };
        match tag {
            b'I' => Body::read_all("Insert", bytes, Insert::decode).map(Self::Insert),
            b'M' => Body::read_all("Message", bytes, Message::decode).map(Self::Message),
            b'B' => Body::read_all("Begin", bytes, Begin::decode).map(Self::Begin),
            b'C' => Body::read_all("Commit", bytes, Commit::decode).map(Self::Commit),
            b'R' => Body::read_all("Relation", bytes, Relation::decode).map(Self::Relation),
            b'Y' => Body::read_all("Type", bytes, Type::decode).map(Self::Type),
            b'O' => Body::read_all("Origin", bytes, Origin::decode).map(Self::Origin),
            b'U' => Body::read_all("Update", bytes, Update::decode).map(Self::Update),
            b'D' => Body::read_all("Delete", bytes, Delete::decode).map(Self::Delete),
            b'T' => Body::read_all("Truncate", bytes, Truncate::decode).map(Self::Truncate),
            tag => Err(ProtocolError::UnknownMessage {
                family: "pgoutput message",
                tag,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
