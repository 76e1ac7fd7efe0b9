//! One event as the outbox contract has it, whether it came from a table or from a message.

use std::borrow::Cow;

/// Bytes of a key or payload: borrowed from the stream unless they had to be decoded.
pub(super) type Value<'a> = Cow<'a, [u8]>;

/// One event, borrowed from what the stream brought.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) id: &'a [u8],
    pub(super) route: &'a str,
    pub(super) key: Option<Value<'a>>,
    pub(super) payload: Option<Value<'a>>,
    /// A JSON object of strings, unparsed.
    pub(super) headers: Option<&'a [u8]>,
}

/// Why a row or message is not an event of the outbox contract.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidRow {
    /// No identity, so consumers could not tell a repetition.
    #[error("its id is NULL or empty")]
    NoId,
    /// No topic can be made.
    #[error("its routing column is NULL")]
    NoRoute,
    /// The routing column is not UTF-8 text.
    #[error("its routing column is not text")]
    RouteNotText,
    /// Kafka takes no such topic name.
    #[error("it can't be routed")]
    IllegalTopic(#[source] super::topic::IllegalTopic),
    /// A bytea column did not come in hex format.
    #[error("a bytea column is not in hex format")]
    NotHexadecimal,
    /// The row does not fit its table's description.
    #[error("it has {found} columns and its table's description {expected}")]
    ColumnCount {
        /// Columns of the latest Relation message.
        expected: usize,
        /// Columns of the row.
        found: usize,
    },
    /// Only an UPDATE leaves values out.
    #[error("a value was left out by the server")]
    ValueLeftOut,
    /// The headers column or field.
    #[error("its headers are not a JSON object of strings")]
    Headers(#[source] serde_json::Error),
    /// A logical message's content.
    #[error(
        "the message is not a JSON object with id, aggregatetype, aggregateid, type and payload"
    )]
    Message(#[source] serde_json::Error),
}
