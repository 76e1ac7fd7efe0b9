//! Section `[outbox]`.

mod table;

use cdc_outbox::{Columns, OutboxSettings, TopicTemplate};
use serde::Deserialize;

use super::value::text;
use super::{Invalid, require};

pub(crate) use table::{OutboxTable, quote_identifier};

/// What the outbox looks like.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct OutboxConfig {
    /// The outbox tables; may be empty when messages are used.
    pub(crate) tables: Vec<OutboxTable>,
    /// Prefixes of logical messages that are events; empty turns them off.
    pub(crate) message_prefixes: Vec<String>,
    /// Column of the event's identity.
    pub(crate) id: String,
    /// Column that chooses the topic.
    pub(crate) route_by: String,
    /// Column of the record's key.
    pub(crate) key: String,
    /// Column of the event's type.
    #[serde(rename = "type")]
    pub(crate) event_type: String,
    /// Column of the record's value.
    pub(crate) payload: String,
    /// Column of additional headers; empty when there is none.
    pub(crate) headers: String,
    /// The record's topic.
    #[serde(deserialize_with = "text")]
    pub(crate) topic: TopicTemplate,
}

impl OutboxConfig {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        require(
            !(self.tables.is_empty() && self.message_prefixes.is_empty()),
            "outbox.tables",
            "name at least one table, unless outbox.message_prefixes names a prefix",
        )?;
        require(
            self.message_prefixes
                .iter()
                .all(|prefix| !prefix.is_empty()),
            "outbox.message_prefixes",
            "hold no empty prefix; [] turns logical messages off",
        )?;
        for (key, column) in [
            ("outbox.id", &self.id),
            ("outbox.route_by", &self.route_by),
            ("outbox.key", &self.key),
            ("outbox.type", &self.event_type),
            ("outbox.payload", &self.payload),
        ] {
            require(!column.is_empty(), key, "name a column")?;
        }
        Ok(())
    }

    /// How rows become records.
    pub(crate) fn settings(&self) -> OutboxSettings {
        let defaults = OutboxSettings::default();
        OutboxSettings {
            columns: Columns {
                id: self.id.clone(),
                route_by: self.route_by.clone(),
                key: self.key.clone(),
                event_type: self.event_type.clone(),
                payload: self.payload.clone(),
                headers: Some(self.headers.clone()).filter(|name| !name.is_empty()),
                ..defaults.columns
            },
            topic: self.topic.clone(),
            ..defaults
        }
    }

    /// The columns without which a row is not an event, each with its key in this section.
    pub(crate) fn required_columns(&self) -> [(&'static str, &str); 5] {
        [
            ("id", &self.id),
            ("route_by", &self.route_by),
            ("key", &self.key),
            ("type", &self.event_type),
            ("payload", &self.payload),
        ]
    }
}
