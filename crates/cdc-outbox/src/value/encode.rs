//! From a value to the bytes of a key, a value or a header.

use std::borrow::Cow;

use super::{Decimal, Field, Value, bytes, float};
use crate::json::write_string;
use crate::settings::Converter;

/// The bytes of a key or a value; `None` is Kafka's null.
pub(crate) fn encode<'a>(field: Field<'a>, converter: Converter) -> Option<Cow<'a, [u8]>> {
    match converter {
        Converter::Plain => plain(field.value),
        Converter::Json | Converter::JsonSchema => Some(Cow::Owned(json(&field, converter))),
    }
}

/// The bytes of a header. Only bytes and numbers with a scale of their own differ from [`encode`]: a header is text.
pub(crate) fn encode_header<'a>(field: Field<'a>, converter: Converter) -> Option<Cow<'a, [u8]>> {
    match (converter, field.value) {
        (Converter::Plain, Value::Bytes(value)) => {
            Some(Cow::Owned(bytes::base64(&value).into_bytes()))
        }
        (Converter::Plain, Value::VariableDecimal(number)) => {
            let mut out = Vec::new();
            write_variable_decimal(&number, &mut out);
            Some(Cow::Owned(out))
        }
        (_, value) => encode(Field { value, ..field }, converter),
    }
}

fn plain(value: Value<'_>) -> Option<Cow<'_, [u8]>> {
    Some(match value {
        Value::Null => return None,
        Value::Boolean(true) => Cow::Borrowed(b"true"),
        Value::Boolean(false) => Cow::Borrowed(b"false"),
        Value::Number(digits) => text(digits),
        Value::Float(number) => text(Cow::Owned(float(number))),
        Value::Double(number) => text(Cow::Owned(float(number))),
        Value::Text(value) | Value::Bytes(value) => value,
        Value::Decimal(number) => text(number.java()),
        Value::VariableDecimal(number) => text(Cow::Borrowed(number.text())),
        Value::Document(json) => json,
    })
}

fn text(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

fn json(field: &Field<'_>, converter: Converter) -> Vec<u8> {
    let mut out = Vec::new();
    if converter == Converter::JsonSchema {
        out.extend_from_slice(b"{\"schema\":");
        field.schema.write(&mut out);
        out.extend_from_slice(b",\"payload\":");
        write_described(&field.value, &mut out);
        out.push(b'}');
    } else {
        write_json(&field.value, &mut out);
    }
    out
}

/// Appends a value as `JsonConverter` writes it.
pub(crate) fn write_json(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        Value::Number(digits) => out.extend_from_slice(digits.as_bytes()),
        Value::Float(number) if number.is_finite() => {
            out.extend_from_slice(float(*number).as_bytes());
        }
        Value::Float(number) => write_float(f64::from(*number), out),
        Value::Double(number) => write_float(*number, out),
        // A database with the encoding SQL_ASCII may hold anything.
        Value::Text(text) => write_string(String::from_utf8_lossy(text).as_bytes(), out),
        Value::Bytes(value) => write_string(bytes::base64(value).as_bytes(), out),
        Value::Decimal(number) => {
            write_string(bytes::base64(&number.unscaled_bytes()).as_bytes(), out);
        }
        Value::VariableDecimal(number) => write_variable_decimal(number, out),
        Value::Document(json) => out.extend_from_slice(json),
    }
}

/// Appends a value beside its schema: a document whose schema says no more than that it is JSON is a text.
pub(crate) fn write_described(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Document(json) => write_string(json, out),
        _ => write_json(value, out),
    }
}

/// Appends a number; those that JSON does not have are strings.
pub(crate) fn write_float(number: f64, out: &mut Vec<u8>) {
    let text = float(number);
    if number.is_finite() {
        out.extend_from_slice(text.as_bytes());
    } else {
        write_string(text.as_bytes(), out);
    }
}

fn write_variable_decimal(number: &Decimal<'_>, out: &mut Vec<u8>) {
    let number = number.clone().stripped();
    let (scale, unscaled) = (number.scale(), bytes::base64(&number.unscaled_bytes()));
    out.extend_from_slice(format!("{{\"scale\":{scale},\"value\":\"{unscaled}\"}}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::schema::OPTIONAL_STRING;
    use super::super::{Type, read};
    use super::*;
    use crate::settings::{BinaryHandling, DecimalHandling};
    use crate::value::Handling;
    use pg_replication::pgoutput::TypeOid;
    use proptest::prelude::*;

    /// What Debezium 3.7 makes of columns: type number, modifier, text, header, JSON.
    const COLUMNS: &[(u32, i32, &str, &str, &str)] = &[
        (16, -1, "t", "true", "true"),
        (21, -1, "-7", "-7", "-7"),
        (
            20,
            -1,
            "9007199254740993",
            "9007199254740993",
            "9007199254740993",
        ),
        (700, -1, "1.1", "1.1", "1.1"),
        (700, -1, "1e+20", "1.0E20", "1.0E20"),
        (701, -1, "100", "100.0", "100.0"),
        (701, -1, "NaN", "NaN", "\"NaN\""),
        (
            1700,
            -1,
            "12.340",
            r#"{"scale":2,"value":"BNI="}"#,
            r#"{"scale":2,"value":"BNI="}"#,
        ),
        (1700, (10 << 16 | 2) + 4, "-0.50", "-0.50", "\"zg==\""),
        (
            1700,
            (20 << 16 | 10) + 4,
            "0.0000001000",
            "1.000E-7",
            "\"A+g=\"",
        ),
        (1042, 9, "ab   ", "ab   ", "\"ab   \""),
        (17, -1, "\\x00ff10", "AP8Q", "\"AP8Q\""),
        (1082, -1, "1960-01-01", "-3653", "-3653"),
        (1083, -1, "12:34:56.789012", "45296789012", "45296789012"),
        (1083, 3, "12:34:56.789", "45296789", "45296789"),
        (1266, -1, "12:34:56.5+02", "10:34:56.5Z", "\"10:34:56.5Z\""),
        (
            1114,
            -1,
            "2024-02-29 12:34:56.789012",
            "1709210096789012",
            "1709210096789012",
        ),
        (
            1114,
            0,
            "2024-02-29 12:34:56",
            "1709210096000",
            "1709210096000",
        ),
        (
            1184,
            -1,
            "2024-02-29 10:34:56+00",
            "2024-02-29T10:34:56.000000Z",
            "\"2024-02-29T10:34:56.000000Z\"",
        ),
        (
            1184,
            3,
            "2024-02-29 10:34:56.78+00",
            "2024-02-29T10:34:56.780Z",
            "\"2024-02-29T10:34:56.780Z\"",
        ),
        (1184, -1, "infinity", "infinity", "\"infinity\""),
        (869, -1, "10.0.0.1", "10.0.0.1", "\"10.0.0.1\""),
    ];

    fn field(oid: u32, modifier: i32, text: &str) -> Field<'_> {
        let handling = Handling {
            binary: BinaryHandling::Bytes,
            decimal: DecimalHandling::Precise,
        };
        let column = Type::of(TypeOid(oid), modifier, handling);
        Field {
            value: read(column, text.as_bytes()).unwrap(),
            schema: &OPTIONAL_STRING,
        }
    }

    #[test]
    fn columns_are_written_as_debezium_writes_them() {
        for (oid, modifier, text, header, json) in COLUMNS {
            let written =
                |bytes: Option<Cow<'_, [u8]>>| String::from_utf8(bytes.unwrap().into()).unwrap();
            let column = || field(*oid, *modifier, text);
            assert_eq!(
                written(encode_header(column(), Converter::Plain)),
                *header,
                "{oid}"
            );
            assert_eq!(written(encode(column(), Converter::Json)), *json, "{oid}");
        }
    }

    #[test]
    fn a_key_has_bytes_as_they_are_and_numbers_as_text() {
        assert_eq!(
            encode(field(17, -1, "\\x00ff"), Converter::Plain).as_deref(),
            Some(&[0, 0xff][..])
        );
        assert_eq!(
            encode(field(1700, -1, "12.340"), Converter::Plain).as_deref(),
            Some(&b"12.340"[..])
        );
    }

    #[test]
    fn null_is_kafka_s_null_or_json_s() {
        let null = || Field {
            value: Value::Null,
            schema: &OPTIONAL_STRING,
        };
        assert_eq!(encode(null(), Converter::Plain), None);
        assert_eq!(
            encode(null(), Converter::Json).as_deref(),
            Some(&b"null"[..])
        );
        assert_eq!(
            encode(null(), Converter::JsonSchema).as_deref(),
            Some(&br#"{"schema":{"type":"string","optional":true},"payload":null}"#[..])
        );
    }

    #[test]
    fn what_is_not_utf_8_does_not_spoil_json() {
        let mut out = Vec::new();
        write_json(&Value::Text(Cow::Borrowed(b"a\xffb")), &mut out);
        assert_eq!(out, "\"a\u{fffd}b\"".as_bytes());
    }

    proptest! {
        /// Every type, with texts that it prints and texts that it does not.
        #[test]
        fn whatever_is_read_is_written_as_json(
            (oid, modifier, ..) in prop::sample::select(COLUMNS),
            text in prop_oneof!["[-+0-9:. TZBC]{0,40}", "\\PC{0,20}", prop::sample::select(COLUMNS).prop_map(|c| c.2.to_owned())],
        ) {
            let handling = Handling { binary: BinaryHandling::Bytes, decimal: DecimalHandling::Precise };
            let column = Type::of(TypeOid(oid), modifier, handling);
            if let Ok(value) = read(column, text.as_bytes()) {
                let mut out = Vec::new();
                write_json(&value, &mut out);
                // A stream's integers are PostgreSQL's own; here they are any text.
                if !matches!(value, Value::Number(_)) {
                    prop_assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok(), "{:?}", out);
                }
                let field = Field { value, schema: &OPTIONAL_STRING };
                let _header = encode_header(field, Converter::Plain);
            }
        }
    }
}
