//! Why something is not an event.

use crate::routing::IllegalTopic;

/// Why a row or a logical message is not an event of the outbox contract.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRow {
    /// No identity, so consumers could not tell a repetition.
    #[error("its id is NULL or empty")]
    NoId,
    /// No topic can be made.
    #[error("its routing column is NULL")]
    NoRoute,
    /// The routing column is not UTF-8 text.
    #[error("its routing column is not text")]
    RouteNotText,
    /// `CloudEvents` has no event without a type.
    #[error("its type is NULL or empty, which format = \"cloudevents\" does not allow")]
    NoType,
    /// Kafka takes no such topic name.
    #[error("it can't be routed")]
    IllegalTopic(#[source] IllegalTopic),
    /// A value does not have the form of its type.
    #[error("the value of {column} does not have the form of its type")]
    Unreadable {
        /// The column or member.
        column: String,
    },
    /// Kafka has no such time.
    #[error("its timestamp {text:?} is not a time after 1970-01-01, and Kafka has no other")]
    Timestamp {
        /// The timestamp column's text.
        text: String,
    },
    /// No topic has such a partition.
    #[error("its partition {text:?} is not a number from 0 to 2147483647")]
    Partition {
        /// The partition column's text.
        text: String,
    },
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
    /// The headers column or member.
    #[error("its headers are not a JSON object of strings")]
    Headers(#[source] serde_json::Error),
    /// A logical message's content.
    #[error("the message is not a JSON object")]
    Message(#[source] serde_json::Error),
    /// A logical message lacks what `placement` names.
    #[error("the message has no member {name:?}, which placement names")]
    MissingMember {
        /// The member.
        name: String,
    },
}
