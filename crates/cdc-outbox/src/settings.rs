//! What the outbox looks like and what its records shall look like.

mod invalid;
mod placement;
mod words;

pub use self::invalid::InvalidSettings;
pub use self::placement::{InvalidPlacement, Placement, Target};
pub use self::words::{
    BinaryHandling, Converter, DecimalHandling, EmptyArrays, ExpandJson, MessagePayload,
    MissingPlacement, NullMembers, OnIllegalTopic, UnknownWord,
};

use crate::route_regex::RouteRegex;
use crate::topic_template::TopicTemplate;

/// Names of the outbox table's columns, which are also the names of a logical message's members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// The event's identity.
    pub id: String,
    /// Chooses the topic.
    pub route_by: String,
    /// The record's key.
    pub key: String,
    /// The event's type; needed by `CloudEvents` only.
    pub event_type: String,
    /// The record's value.
    pub payload: String,
    /// The record's timestamp. `None`: the time of the commit.
    pub timestamp: Option<String>,
    /// A JSON object of strings, each of which becomes a header; the table may do without.
    pub headers: Option<String>,
    /// An integer that becomes the version of the envelope's schema, for [`Converter::JsonSchema`].
    pub schema_version: Option<String>,
    /// A W3C `traceparent`, sent as a header of that name; the table may do without.
    pub traceparent: Option<String>,
    /// A W3C `tracestate`, likewise.
    pub tracestate: Option<String>,
}

/// What a record is besides key and value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum EnvelopeFormat {
    /// Nothing more.
    #[default]
    Plain,
    /// An event in `CloudEvents`' binary mode: its attributes are headers.
    CloudEvents(CloudEvents),
}

/// What the table does not say about a `CloudEvents` event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CloudEvents {
    /// `ce_source`. `None`: `/schema/table`, or `/message` for a logical message.
    pub source: Option<String>,
    /// `content-type`. `None`: by the payload's type.
    pub content_type: Option<String>,
}

/// Everything that decides how a row becomes a record. [`Default`] is what Debezium's `EventRouter` does by default.
#[derive(Debug, Clone, Default)]
pub struct OutboxSettings {
    /// The columns' names.
    pub columns: Columns,
    /// Which part of the routing value is used.
    pub route_regex: RouteRegex,
    /// The topic's name.
    pub topic: TopicTemplate,
    /// What happens to a topic name that Kafka does not allow.
    pub illegal_topic: OnIllegalTopic,
    /// Where other columns go.
    pub placement: Vec<Placement>,
    /// What happens if a column of `placement` is not there.
    pub missing_placement: MissingPlacement,
    /// Whether a payload of JSON text is sent as JSON.
    pub expand_json: ExpandJson,
    /// What [`ExpandJson::Debezium`] does with null members.
    pub null_members: NullMembers,
    /// What [`ExpandJson::Debezium`] does with empty arrays.
    pub empty_arrays: EmptyArrays,
    /// Whether a payload that is NULL or blank makes a record without a value, whatever the format.
    pub tombstone_on_empty: bool,
    /// What a record is besides key and value.
    pub format: EnvelopeFormat,
    /// How the value is written.
    pub value_format: Converter,
    /// How the key is written.
    pub key_format: Converter,
    /// How headers are written, except those of `CloudEvents` and of tracing, which have a form of their own.
    pub header_format: Converter,
    /// How a `bytea` column is read.
    pub binary: BinaryHandling,
    /// How a `numeric` column is read.
    pub decimal: DecimalHandling,
    /// What stands before the table's schema in the name of the envelope's schema (Debezium's `topic.prefix`), for
    /// [`Converter::JsonSchema`]; may be empty.
    pub schema_prefix: String,
    /// What the payload of a logical message is if it is a JSON string.
    pub message_payload: MessagePayload,
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            id: "id".to_owned(),
            route_by: "aggregatetype".to_owned(),
            key: "aggregateid".to_owned(),
            event_type: "type".to_owned(),
            payload: "payload".to_owned(),
            timestamp: None,
            headers: Some("headers".to_owned()),
            schema_version: None,
            traceparent: Some("traceparent".to_owned()),
            tracestate: Some("tracestate".to_owned()),
        }
    }
}

impl OutboxSettings {
    /// The columns without which a row cannot be sent, each with its key in section `[outbox]`.
    pub fn required_columns(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let columns = &self.columns;
        let needs_type = matches!(self.format, EnvelopeFormat::CloudEvents(_));
        let placed = self
            .placement
            .iter()
            .filter(|_| self.missing_placement == MissingPlacement::Error)
            .map(|placement| ("placement", placement.column.as_str()));
        [
            Some(("id", columns.id.as_str())),
            Some(("route_by", columns.route_by.as_str())),
            Some(("key", columns.key.as_str())),
            needs_type.then_some(("type", columns.event_type.as_str())),
            Some(("payload", columns.payload.as_str())),
            columns.timestamp.as_deref().map(|name| ("timestamp", name)),
            columns
                .schema_version
                .as_deref()
                .map(|name| ("schema_version", name)),
        ]
        .into_iter()
        .flatten()
        .chain(placed)
    }
}
