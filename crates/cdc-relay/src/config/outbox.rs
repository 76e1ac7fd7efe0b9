//! Section `[outbox]`.

mod table;

use std::time::Duration;

use cdc_outbox::{Columns, OutboxSettings, TopicTemplate};
use serde::{Deserialize, Deserializer, de};

use super::value::text;
use super::{Invalid, Span, require};

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
    /// Confirmed rows that are older are removed; `None` keeps all rows.
    #[serde(deserialize_with = "span_or_never")]
    pub(crate) retention: Option<Span>,
    /// Column of a row's age, a time.
    pub(crate) retention_column: String,
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
        let Some(retention) = self.retention else {
            return Ok(());
        };
        require(
            retention.get() >= Duration::from_secs(1),
            "outbox.retention",
            "be at least \"1s\"; \"\" keeps all rows",
        )?;
        require(
            !self.retention_column.is_empty(),
            "outbox.retention_column",
            "name a column",
        )
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

/// An empty text is no time span.
fn span_or_never<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Span>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        Ok(None)
    } else {
        text.parse().map(Some).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Layers};

    fn outbox(retention: &str, column: &str) -> Result<OutboxConfig, String> {
        let set = [
            ("CDC_POSTGRES__URL", "postgres://relay@localhost/app"),
            ("CDC_OUTBOX__RETENTION", retention),
            ("CDC_OUTBOX__RETENTION_COLUMN", column),
        ];
        let environment = set.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let layers = Layers::read(None, environment, &[]).unwrap();
        Config::from_layers(&layers)
            .map(|config| config.outbox)
            .map_err(|failure| failure.one_line())
    }

    #[test]
    fn retention_is_an_age_or_nothing() {
        let week = outbox("7d", "at").unwrap();
        assert_eq!(
            week.retention.map(Span::get),
            Some(Duration::from_secs(7 * 86_400))
        );
        assert_eq!(outbox("", "").unwrap().retention, None);
        for refused in ["0s", "999ms", "7", "a while"] {
            let error = outbox(refused, "at").unwrap_err();
            assert!(error.contains("outbox.retention"), "{error}");
        }
        let error = outbox("7d", "").unwrap_err();
        assert!(error.contains("outbox.retention_column"), "{error}");
    }
}
