//! The outbox contract: how a row of an outbox table, or a logical message, becomes a Kafka record.
//!
//! The contract is that of Debezium's outbox `EventRouter`, byte for byte for the same settings; where this crate differs
//! on purpose, `docs/debezium.md` says so and a test holds it to that. No I/O: rows come in, parts of records come out,
//! borrowed from the row wherever its bytes pass through unchanged.
//!
//! ```no_run
//! use cdc_outbox::{Encoder, OutboxSettings};
//! # use pg_replication::pgoutput::{Relation, Tuple};
//! # fn example(relation: &Relation, tuple: &Tuple) -> Result<(), Box<dyn std::error::Error>> {
//! let mut encoder = Encoder::new(OutboxSettings::default())?;
//! let layout = encoder.layout(relation)?; // at each Relation message
//! let event = encoder.row(&layout, tuple, None)?;
//! println!("{} {:?}", event.topic, event.value);
//! # Ok(())
//! # }
//! ```

mod cloud_events;
mod encoder;
mod event;
mod expand;
mod headers;
mod invalid_row;
mod json;
mod layout;
mod message;
mod payload;
mod route_regex;
mod routing;
mod row;
mod settings;
mod topic_name;
mod topic_template;
mod trace_context;
mod value;

pub use encoder::Encoder;
pub use event::{Event, Header, Headers, Notices, Partition, UnixMillis};
pub use invalid_row::InvalidRow;
pub use layout::{Layout, UnsuitableTable};
pub use route_regex::{InvalidRegex, RouteRegex};
pub use routing::IllegalTopic;
pub use settings::{
    BinaryHandling, CloudEvents, Columns, Converter, DecimalHandling, EmptyArrays, EnvelopeFormat,
    ExpandJson, InvalidPlacement, InvalidSettings, MessagePayload, MissingPlacement, NullMembers,
    OnIllegalTopic, OutboxSettings, Placement, Target, UnknownWord,
};
pub use topic_name::is_topic_name;
pub use topic_template::{InvalidTemplate, TopicTemplate};

/// What the payload is called in an envelope.
pub(crate) const PAYLOAD_MEMBER: &str = "payload";
