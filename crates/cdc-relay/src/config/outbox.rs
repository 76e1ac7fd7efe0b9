//! Section `[outbox]`.

mod read;
mod table;

use std::time::Duration;

use cdc_outbox::{
    BinaryHandling, CloudEvents, Columns, Converter, DecimalHandling, EmptyArrays, EnvelopeFormat,
    ExpandJson, InvalidSettings, MessagePayload, MissingPlacement, NullMembers, OnIllegalTopic,
    OutboxSettings, Placement, RouteRegex, TopicTemplate,
};
use serde::Deserialize;

use super::value::{optional, span_or_never, text, texts};
use super::{Invalid, Span, require};

use self::read::expand_json;

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
    /// Column of the record's time; `None` for the time of the commit.
    #[serde(deserialize_with = "optional")]
    timestamp: Option<String>,
    /// Column of additional headers.
    #[serde(deserialize_with = "optional")]
    headers: Option<String>,
    /// Column of the version of the envelope's schema.
    #[serde(deserialize_with = "optional")]
    schema_version: Option<String>,
    /// Columns of the trace context.
    #[serde(deserialize_with = "optional")]
    traceparent: Option<String>,
    #[serde(deserialize_with = "optional")]
    tracestate: Option<String>,
    /// The record's topic.
    #[serde(deserialize_with = "text")]
    pub(crate) topic: TopicTemplate,
    #[serde(deserialize_with = "text")]
    route_regex: RouteRegex,
    #[serde(deserialize_with = "text")]
    illegal_topic: OnIllegalTopic,
    #[serde(deserialize_with = "texts")]
    placement: Vec<Placement>,
    #[serde(deserialize_with = "text")]
    missing_placement: MissingPlacement,
    #[serde(deserialize_with = "expand_json")]
    expand_json: ExpandJson,
    #[serde(deserialize_with = "text")]
    expand_nulls: NullMembers,
    #[serde(deserialize_with = "text")]
    expand_empty_arrays: EmptyArrays,
    tombstone_on_empty: bool,
    format: Format,
    #[serde(deserialize_with = "optional")]
    cloudevents_source: Option<String>,
    #[serde(deserialize_with = "optional")]
    cloudevents_content_type: Option<String>,
    #[serde(deserialize_with = "text")]
    key_format: Converter,
    #[serde(deserialize_with = "text")]
    value_format: Converter,
    #[serde(deserialize_with = "text")]
    header_format: Converter,
    #[serde(deserialize_with = "text")]
    binary: BinaryHandling,
    #[serde(deserialize_with = "text")]
    decimal: DecimalHandling,
    schema_prefix: String,
    #[serde(deserialize_with = "text")]
    message_payload: MessagePayload,
    /// Confirmed rows that are older are removed; `None` keeps all rows.
    #[serde(deserialize_with = "span_or_never")]
    pub(crate) retention: Option<Span>,
    /// Column of a row's age, a time.
    pub(crate) retention_column: String,
}

/// What a record is besides key and value.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Plain,
    CloudEvents,
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
        self.settings().validate().map_err(invalid)?;
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
        OutboxSettings {
            columns: Columns {
                id: self.id.clone(),
                route_by: self.route_by.clone(),
                key: self.key.clone(),
                event_type: self.event_type.clone(),
                payload: self.payload.clone(),
                timestamp: self.timestamp.clone(),
                headers: self.headers.clone(),
                schema_version: self.schema_version.clone(),
                traceparent: self.traceparent.clone(),
                tracestate: self.tracestate.clone(),
            },
            route_regex: self.route_regex.clone(),
            topic: self.topic.clone(),
            illegal_topic: self.illegal_topic,
            placement: self.placement.clone(),
            missing_placement: self.missing_placement,
            expand_json: self.expand_json,
            null_members: self.expand_nulls,
            empty_arrays: self.expand_empty_arrays,
            tombstone_on_empty: self.tombstone_on_empty,
            format: match self.format {
                Format::Plain => EnvelopeFormat::Plain,
                Format::CloudEvents => EnvelopeFormat::CloudEvents(CloudEvents {
                    source: self.cloudevents_source.clone(),
                    content_type: self.cloudevents_content_type.clone(),
                }),
            },
            key_format: self.key_format,
            value_format: self.value_format,
            header_format: self.header_format,
            binary: self.binary,
            decimal: self.decimal,
            schema_prefix: self.schema_prefix.clone(),
            message_payload: self.message_payload,
        }
    }

    /// The columns without which a row is not an event, each with its key in this section.
    pub(crate) fn required_columns(&self) -> Vec<(&'static str, String)> {
        let settings = self.settings();
        let required = settings.required_columns();
        required
            .map(|(key, column)| (key, column.to_owned()))
            .collect()
    }
}

/// The option as the configuration calls it.
fn invalid(settings: InvalidSettings) -> Invalid {
    const KEYS: [&str; 12] = [
        "outbox.expand_json",
        "outbox.headers",
        "outbox.id",
        "outbox.key",
        "outbox.payload",
        "outbox.placement",
        "outbox.route_by",
        "outbox.schema_version",
        "outbox.timestamp",
        "outbox.topic",
        "outbox.traceparent",
        "outbox.type",
    ];
    let is_meant = |key: &&&str| key.strip_prefix("outbox.") == Some(settings.option);
    let key = KEYS.iter().find(is_meant).copied().unwrap_or("outbox");
    Invalid::new(key, settings.constraint)
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

    fn config(set: &[(&str, &str)]) -> Result<OutboxConfig, String> {
        let url = ("CDC_POSTGRES__URL", "postgres://relay@localhost/app");
        let all = set.iter().chain([&url]);
        let environment = all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let layers = Layers::read(None, environment, &[]).unwrap();
        Config::from_layers(&layers)
            .map(|config| config.outbox)
            .map_err(|failure| failure.one_line())
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let (ours, contract) = (config(&[]).unwrap().settings(), OutboxSettings::default());
        assert_eq!(format!("{ours:?}"), format!("{contract:?}"));
    }

    #[test]
    fn every_option_reaches_the_encoder() {
        let settings = config(&[
            ("CDC_OUTBOX__TIMESTAMP", "at"),
            ("CDC_OUTBOX__ROUTE_REGEX", r"(?<x>[a-z]+)\..*"),
            ("CDC_OUTBOX__TOPIC", "to.${x}"),
            ("CDC_OUTBOX__ILLEGAL_TOPIC", "sanitize"),
            (
                "CDC_OUTBOX__PLACEMENT",
                "type:header:eventType,tenant:envelope",
            ),
            ("CDC_OUTBOX__MISSING_PLACEMENT", "ignore"),
            ("CDC_OUTBOX__EXPAND_JSON", "debezium"),
            ("CDC_OUTBOX__EXPAND_NULLS", "optional_bytes"),
            ("CDC_OUTBOX__EXPAND_EMPTY_ARRAYS", "optional_string"),
            ("CDC_OUTBOX__TOMBSTONE_ON_EMPTY", "true"),
            ("CDC_OUTBOX__FORMAT", "cloudevents"),
            ("CDC_OUTBOX__CLOUDEVENTS_SOURCE", "/shop"),
            ("CDC_OUTBOX__KEY_FORMAT", "json"),
            ("CDC_OUTBOX__VALUE_FORMAT", "json_schema"),
            ("CDC_OUTBOX__HEADER_FORMAT", "json"),
            ("CDC_OUTBOX__BINARY", "hex"),
            ("CDC_OUTBOX__DECIMAL", "string"),
            ("CDC_OUTBOX__SCHEMA_PREFIX", "dbz"),
            ("CDC_OUTBOX__SCHEMA_VERSION", "v"),
            ("CDC_OUTBOX__TRACESTATE", ""),
            ("CDC_OUTBOX__MESSAGE_PAYLOAD", "unquoted"),
        ])
        .unwrap()
        .settings();
        assert_eq!(settings.columns.timestamp.as_deref(), Some("at"));
        assert_eq!(settings.columns.schema_version.as_deref(), Some("v"));
        assert_eq!(settings.columns.tracestate, None);
        assert_eq!(settings.route_regex.to_string(), r"(?<x>[a-z]+)\..*");
        assert_eq!(settings.topic.to_string(), "to.${x}");
        assert_eq!(settings.illegal_topic, OnIllegalTopic::Sanitize);
        let placement: Vec<String> = settings
            .placement
            .iter()
            .map(Placement::to_string)
            .collect();
        assert_eq!(placement, ["type:header:eventType", "tenant:envelope"]);
        assert_eq!(settings.missing_placement, MissingPlacement::Ignore);
        assert_eq!(settings.expand_json, ExpandJson::Debezium);
        assert_eq!(settings.null_members, NullMembers::OptionalBytes);
        assert_eq!(settings.empty_arrays, EmptyArrays::OptionalString);
        assert!(settings.tombstone_on_empty);
        let cloud_events = CloudEvents {
            source: Some("/shop".to_owned()),
            content_type: None,
        };
        assert_eq!(settings.format, EnvelopeFormat::CloudEvents(cloud_events));
        assert_eq!(settings.key_format, Converter::Json);
        assert_eq!(settings.value_format, Converter::JsonSchema);
        assert_eq!(settings.header_format, Converter::Json);
        assert_eq!(settings.binary, BinaryHandling::Hex);
        assert_eq!(settings.decimal, DecimalHandling::String);
        assert_eq!(settings.schema_prefix, "dbz");
        assert_eq!(settings.message_payload, MessagePayload::Unquoted);
    }

    #[test]
    fn json_expansion_is_a_truth_value_or_debezium_s() {
        let expand = |text| config(&[("CDC_OUTBOX__EXPAND_JSON", text)]).map(|c| c.expand_json);
        assert_eq!(expand("true"), Ok(ExpandJson::Lossless));
        assert_eq!(expand("false"), Ok(ExpandJson::Off));
        let error = expand("yes").unwrap_err();
        assert!(
            error.contains("outbox.expand_json") && error.contains("debezium"),
            "{error}"
        );
    }

    #[test]
    fn refuses_what_no_record_can_be_made_of_and_names_the_key() {
        for (key, value) in [
            ("ROUTE_REGEX", "("),
            ("ROUTE_REGEX", "a(?=b)"),
            ("TOPIC", "${other}"),
            ("TOPIC", "a b"),
            ("PLACEMENT", "type"),
            ("PLACEMENT", "['']"),
            ("PLACEMENT", "type:body"),
            ("PLACEMENT", "a:header:x,b:header:x"),
            ("MISSING_PLACEMENT", "warn"),
            ("VALUE_FORMAT", "avro"),
            ("FORMAT", "structured"),
            ("ID", ""),
            ("BINARY", "octal"),
        ] {
            let error = config(&[(&format!("CDC_OUTBOX__{key}"), value)]).unwrap_err();
            let expected = format!("outbox.{}", key.to_lowercase());
            assert!(error.contains(&expected), "{key}={value}: {error}");
        }
    }
}
