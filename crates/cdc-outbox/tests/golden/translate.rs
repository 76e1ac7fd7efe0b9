//! From Debezium's properties to our settings, as the table in `docs/debezium.md` has it.

use cdc_outbox::{Converter, ExpandJson, MessagePayload, OutboxSettings, Placement};

use crate::group::Group;

const ROUTER: &str = "transforms.outbox.";

/// Properties that say nothing about what a record looks like, or that have no counterpart.
const WITHOUT_MEANING: &[&str] = &[
    "connector.class",
    "database.",
    "errors.max.retries",
    "extended.headers.enabled",
    "max.batch.size",
    "plugin.name",
    "poll.interval.ms",
    "producer.override.max.block.ms",
    "publication.",
    "snapshot.mode",
    "table.include.list",
    "tasks.max",
    "time.precision.mode",
    "tombstones.on.delete",
    "topic.creation.",
    "transforms",
    "transforms.decode.",
    "transforms.outbox.table.op.invalid.behavior",
    "transforms.outbox.type",
];

/// The settings that give what the group's configuration gives with Debezium.
pub(crate) fn settings(group: &Group) -> OutboxSettings {
    let mut settings = OutboxSettings::default();
    for (key, value) in &group.about.connector_config {
        let is_known = match key.strip_prefix(ROUTER) {
            Some(option) => router_option(&mut settings, option, value),
            None => connector_option(&mut settings, key, value),
        };
        let is_without_meaning = WITHOUT_MEANING
            .iter()
            .any(|known| key == known || (known.ends_with('.') && key.starts_with(known)));
        assert!(is_known || is_without_meaning, "{key} is not translated");
    }
    if group.config("transforms.decode.type").is_some() {
        settings.message_payload = MessagePayload::Unquoted;
    }
    settings.key_format = converter(group, "key");
    settings.value_format = converter(group, "value");
    settings.header_format = converter(group, "header");
    settings
}

fn router_option(settings: &mut OutboxSettings, option: &str, value: &str) -> bool {
    let columns = &mut settings.columns;
    match option {
        "table.field.event.id" => columns.id = value.to_owned(),
        "table.field.event.key" => columns.key = value.to_owned(),
        "table.field.event.type" => columns.event_type = value.to_owned(),
        "table.field.event.payload" => columns.payload = value.to_owned(),
        "table.field.event.timestamp" => columns.timestamp = Some(value.to_owned()),
        "table.field.event.schema.version" => columns.schema_version = Some(value.to_owned()),
        "route.by.field" => columns.route_by = value.to_owned(),
        "route.topic.regex" => settings.route_regex = value.parse().unwrap(),
        "route.topic.replacement" => settings.topic = value.parse().unwrap(),
        "route.tombstone.on.empty.payload" => settings.tombstone_on_empty = value.parse().unwrap(),
        "table.fields.additional.placement" => {
            let placements = value.split(',').map(str::parse::<Placement>);
            settings.placement = placements.collect::<Result<_, _>>().unwrap();
        }
        "table.field.additional.missing" => settings.missing_placement = value.parse().unwrap(),
        "table.expand.json.payload" => {
            settings.expand_json = if value == "true" {
                ExpandJson::Debezium
            } else {
                ExpandJson::Off
            };
        }
        "table.json.payload.null.behavior" => settings.null_members = value.parse().unwrap(),
        "table.json.payload.empty.array.behavior" => {
            settings.empty_arrays = value.parse().unwrap();
        }
        _ => return false,
    }
    true
}

fn connector_option(settings: &mut OutboxSettings, key: &str, value: &str) -> bool {
    match key {
        "topic.prefix" => settings.schema_prefix = value.to_owned(),
        "binary.handling.mode" => settings.binary = value.parse().unwrap(),
        "decimal.handling.mode" => settings.decimal = value.parse().unwrap(),
        // Read by `converter`.
        _ => return key.split('.').nth(1) == Some("converter"),
    }
    true
}

/// Kafka Connect's converters, and the formats of Debezium Server.
fn converter(group: &Group, part: &str) -> Converter {
    if let Some(extra) = group
        .about
        .server_extra
        .as_ref()
        .or(is_server(group).then_some(&Default::default()))
    {
        let has_schemas = extra
            .get(&format!("debezium.format.{part}.schemas.enable"))
            .is_none_or(|value| value == "true");
        return match extra
            .get(&format!("debezium.format.{part}"))
            .map(String::as_str)
        {
            Some("simplestring") => Converter::Plain,
            None if part != "header" => Converter::Plain,
            Some("json") | None if has_schemas => Converter::JsonSchema,
            Some("json") | None => Converter::Json,
            Some(other) => panic!("format {other}"),
        };
    }
    let class = group.config(&format!("{part}.converter"));
    let has_schemas = group
        .config(&format!("{part}.converter.schemas.enable"))
        .is_none_or(|value| value == "true");
    match class.and_then(|class| class.rsplit('.').next()) {
        None if part == "header" => Converter::Plain,
        Some("JsonConverter") if has_schemas => Converter::JsonSchema,
        Some("JsonConverter") => Converter::Json,
        Some(
            "StringConverter"
            | "SimpleHeaderConverter"
            | "ByteArrayConverter"
            | "BinaryDataConverter",
        ) => Converter::Plain,
        other => panic!("{part} converter {other:?}"),
    }
}

fn is_server(group: &Group) -> bool {
    group.about.runtime.starts_with("Debezium Server")
}
