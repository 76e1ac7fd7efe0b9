//! The types of PostgreSQL in the terms of Kafka Connect, as Debezium maps them by default.

use pg_replication::pgoutput::TypeOid;

use super::SchemaText;
use crate::settings::{BinaryHandling, DecimalHandling};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Boolean,
    Int16,
    Int32,
    Int64,
    Float,
    Double,
    Text,
    Uuid,
    Json,
    Xml,
    Bytes(BinaryHandling),
    Decimal {
        precision: u16,
        scale: i16,
    },
    VariableDecimal,
    Date,
    Time(Precision),
    ZonedTime,
    Timestamp(Precision),
    /// With this many digits of the second's fraction.
    ZonedTimestamp(u8),
}

/// The unit in which a time without zone is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    Millis,
    Micros,
}

/// How columns are read for which there is more than one way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handling {
    pub(crate) binary: BinaryHandling,
    pub(crate) decimal: DecimalHandling,
}

impl Type {
    /// The type of a column. Types that are not known here, among them those of extensions, enums, domains and arrays,
    /// are texts as PostgreSQL prints them.
    pub(crate) fn of(oid: TypeOid, modifier: i32, handling: Handling) -> Self {
        // Numbers of built-in types never change: `pg_type.dat` of PostgreSQL.
        match oid.0 {
            16 => Self::Boolean,
            17 => Self::Bytes(handling.binary),
            20 | 26 => Self::Int64,
            21 => Self::Int16,
            23 => Self::Int32,
            114 | 3802 => Self::Json,
            142 => Self::Xml,
            700 => Self::Float,
            701 => Self::Double,
            1082 => Self::Date,
            1083 => Self::Time(Precision::of(modifier)),
            1114 => Self::Timestamp(Precision::of(modifier)),
            1184 => Self::ZonedTimestamp(digits(modifier)),
            1266 => Self::ZonedTime,
            1700 => Self::numeric(modifier, handling.decimal),
            2950 => Self::Uuid,
            _ => Self::Text,
        }
    }

    fn numeric(modifier: i32, handling: DecimalHandling) -> Self {
        match handling {
            DecimalHandling::String => Self::Text,
            DecimalHandling::Double => Self::Double,
            DecimalHandling::Precise => match modifier.checked_sub(4) {
                Some(packed) if packed >= 0 => {
                    // Eleven bits with a sign.
                    let scale = (packed & 0x7ff ^ 0x400) - 0x400;
                    Self::Decimal {
                        precision: u16::try_from(packed >> 16).unwrap_or(u16::MAX),
                        scale: i16::try_from(scale).unwrap_or(0),
                    }
                }
                _ => Self::VariableDecimal,
            },
        }
    }

    /// The schema, as Debezium has it for a column without a default.
    pub(crate) fn schema(self, is_optional: bool) -> SchemaText {
        let named = |schema_type, name| {
            let behind = format!(",\"name\":\"{name}\",\"version\":1");
            SchemaText::new(schema_type, is_optional, &behind)
        };
        let plain = |schema_type| SchemaText::new(schema_type, is_optional, "");
        match self {
            Self::Boolean => plain("\"boolean\""),
            Self::Int16 => plain("\"int16\""),
            Self::Int32 => plain("\"int32\""),
            Self::Int64 => plain("\"int64\""),
            Self::Float => plain("\"float\""),
            Self::Double => plain("\"double\""),
            Self::Bytes(BinaryHandling::Bytes) => plain("\"bytes\""),
            Self::Text | Self::Bytes(_) => plain("\"string\""),
            Self::Uuid => named("\"string\"", "io.debezium.data.Uuid"),
            Self::Json => named("\"string\"", "io.debezium.data.Json"),
            Self::Xml => named("\"string\"", "io.debezium.data.Xml"),
            Self::Date => named("\"int32\"", "io.debezium.time.Date"),
            Self::Time(Precision::Millis) => named("\"int32\"", "io.debezium.time.Time"),
            Self::Time(Precision::Micros) => named("\"int64\"", "io.debezium.time.MicroTime"),
            Self::ZonedTime => named("\"string\"", "io.debezium.time.ZonedTime"),
            Self::Timestamp(Precision::Millis) => named("\"int64\"", "io.debezium.time.Timestamp"),
            Self::Timestamp(Precision::Micros) => {
                named("\"int64\"", "io.debezium.time.MicroTimestamp")
            }
            Self::ZonedTimestamp(_) => named("\"string\"", "io.debezium.time.ZonedTimestamp"),
            Self::Decimal { precision, scale } => SchemaText::new(
                "\"bytes\"",
                is_optional,
                &format!(
                    ",\"name\":\"org.apache.kafka.connect.data.Decimal\",\"version\":1,\"parameters\":{{\"scale\":\
                     \"{scale}\",\"connect.decimal.precision\":\"{precision}\"}}"
                ),
            ),
            Self::VariableDecimal => SchemaText::new(
                "\"struct\",\"fields\":[{\"type\":\"int32\",\"optional\":false,\"field\":\"scale\"},{\"type\":\
                 \"bytes\",\"optional\":false,\"field\":\"value\"}]",
                is_optional,
                ",\"name\":\"io.debezium.data.VariableScaleDecimal\",\"version\":1,\"doc\":\"Variable scaled decimal\"",
            ),
        }
    }
}

impl Precision {
    fn of(modifier: i32) -> Self {
        if (0..=3).contains(&modifier) {
            Self::Millis
        } else {
            Self::Micros
        }
    }
}

/// PostgreSQL keeps microseconds unless told otherwise.
fn digits(modifier: i32) -> u8 {
    u8::try_from(modifier).map_or(6, |digits| digits.min(6))
}

#[cfg(test)]
mod tests {
    use super::super::schema::{OPTIONAL_JSON, OPTIONAL_STRING};
    use super::*;

    const DEFAULT: Handling = Handling {
        binary: BinaryHandling::Bytes,
        decimal: DecimalHandling::Precise,
    };

    fn numeric(precision: i32, scale: i32) -> Type {
        let modifier = (precision << 16 | scale & 0x7ff) + 4;
        Type::of(TypeOid(1700), modifier, DEFAULT)
    }

    #[test]
    fn unpacks_precision_and_scale() {
        for (precision, scale) in [(10, 2), (1000, 1000), (5, 0), (5, -2)] {
            assert_eq!(
                numeric(precision.into(), scale.into()),
                Type::Decimal { precision, scale }
            );
        }
        assert_eq!(Type::of(TypeOid(1700), -1, DEFAULT), Type::VariableDecimal);
    }

    #[test]
    fn schemas_are_debezium_s() {
        let schema = |schema: SchemaText| {
            let mut out = Vec::new();
            schema.write_field("x", &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            schema(numeric(10, 2).schema(true)),
            r#"{"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2","connect.decimal.precision":"10"},"field":"x"}"#
        );
        assert_eq!(
            schema(Type::VariableDecimal.schema(true)),
            r#"{"type":"struct","fields":[{"type":"int32","optional":false,"field":"scale"},{"type":"bytes","optional":false,"field":"value"}],"optional":true,"name":"io.debezium.data.VariableScaleDecimal","version":1,"doc":"Variable scaled decimal","field":"x"}"#
        );
        assert_eq!(
            schema(Type::of(TypeOid(1114), 3, DEFAULT).schema(false)),
            r#"{"type":"int64","optional":false,"name":"io.debezium.time.Timestamp","version":1,"field":"x"}"#
        );
        assert_eq!(
            schema(Type::Text.schema(true)),
            schema(OPTIONAL_STRING.clone())
        );
        assert_eq!(
            schema(Type::Json.schema(true)),
            schema(OPTIONAL_JSON.clone())
        );
    }
}
