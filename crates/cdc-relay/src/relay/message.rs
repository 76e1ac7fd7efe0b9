//! An event that was written by `pg_logical_emit_message`, as `cdc.emit_message` does: a JSON object with the
//! outbox table's columns as fields. The payload's bytes are passed on as they stand in it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::row::{InvalidRow, Row};

/// The fields of the object; unknown ones are ignored, as extra columns are.
#[derive(Debug, Deserialize)]
pub(super) struct EmittedEvent<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    aggregatetype: Option<Cow<'a, str>>,
    #[serde(borrow)]
    aggregateid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    #[serde(borrow)]
    headers: Option<&'a RawValue>,
}

impl<'a> EmittedEvent<'a> {
    pub(super) fn parse(content: &'a [u8]) -> Result<Self, InvalidRow> {
        serde_json::from_slice(content).map_err(InvalidRow::Message)
    }

    pub(super) fn row(&self) -> Result<Row<'_>, InvalidRow> {
        let id = self
            .id
            .as_deref()
            .filter(|id| !id.is_empty())
            .ok_or(InvalidRow::NoId)?;
        Ok(Row {
            id: id.as_bytes(),
            route: self.aggregatetype.as_deref().ok_or(InvalidRow::NoRoute)?,
            key: self
                .aggregateid
                .as_deref()
                .map(|key| Cow::Borrowed(key.as_bytes())),
            payload: present(self.payload).map(Cow::Borrowed),
            headers: present(self.headers),
        })
    }
}

fn present(value: Option<&RawValue>) -> Option<&[u8]> {
    value
        .map(|value| value.get().as_bytes())
        .filter(|text| *text != b"null")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_keeps_its_bytes() {
        let content =
            br#"{"id" : "e1", "aggregatetype":"order","aggregateid":"4\u0032","type":"T","extra":1,
            "payload":{"b": 1.50,  "a":[ ]}}"#;
        let event = EmittedEvent::parse(content).unwrap();
        let row = event.row().unwrap();
        assert_eq!(row.id, b"e1");
        assert_eq!(row.route, "order");
        assert_eq!(row.key.as_deref(), Some(&b"42"[..]));
        assert_eq!(
            row.payload.as_deref(),
            Some(&br#"{"b": 1.50,  "a":[ ]}"#[..])
        );
        assert_eq!(row.headers, None);
    }

    #[test]
    fn null_fields_are_absent_and_missing_identity_is_refused() {
        let parse = |text: &'static str| EmittedEvent::parse(text.as_bytes()).unwrap();
        let event = parse(
            r#"{"id":"1","aggregatetype":"a","aggregateid":null,"payload":null,"headers":null}"#,
        );
        let row = event.row().unwrap();
        assert!(row.key.is_none() && row.payload.is_none() && row.headers.is_none());
        assert!(matches!(
            parse(r#"{"aggregatetype":"a"}"#).row(),
            Err(InvalidRow::NoId)
        ));
        assert!(matches!(
            parse(r#"{"id":"","aggregatetype":"a"}"#).row(),
            Err(InvalidRow::NoId)
        ));
        assert!(matches!(
            parse(r#"{"id":"1"}"#).row(),
            Err(InvalidRow::NoRoute)
        ));
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for content in [&b""[..], b"[]", b"text", b"{\"id\":", b"\xff"] {
            assert!(
                matches!(EmittedEvent::parse(content), Err(InvalidRow::Message(_))),
                "{content:?}"
            );
        }
    }
}
