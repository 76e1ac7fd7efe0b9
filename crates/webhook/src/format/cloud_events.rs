//! CloudEvents 1.0, JSON format, structured mode.

use super::data::{Data, write_member, write_time};
use crate::message::Message;

pub(super) fn write(message: &Message<'_>) -> Vec<u8> {
    let data = Data::of(message.data);
    let media = match &data {
        Data::Nothing => None,
        Data::Json(_) => Some("application/json"),
        Data::Text(_) => Some("text/plain; charset=utf-8"),
        Data::Bytes(_) => Some("application/octet-stream"),
    };
    let time = write_time(message.timestamp);
    let attributes = [
        ("specversion", Some("1.0")),
        ("id", Some(message.id)),
        ("source", Some(message.source)),
        ("type", Some(message.kind)),
        ("time", Some(&*time)),
        (
            "subject",
            message.subject.filter(|subject| !subject.is_empty()),
        ),
        ("datacontenttype", media),
    ];
    let mut out = Vec::with_capacity(message.data.len() + 320);
    for (name, value) in attributes {
        if let Some(value) = value {
            out.push(if out.is_empty() { b'{' } else { b',' });
            write_member(&mut out, name, value);
        }
    }
    if media.is_some() {
        out.push(b',');
        data.write_member(&mut out);
    }
    out.push(b'}');
    out
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn written(subject: Option<&str>, data: &[u8]) -> String {
        let message = Message {
            id: "1",
            kind: "order.paid",
            timestamp: SystemTime::UNIX_EPOCH,
            source: "/shop",
            subject,
            data,
        };
        String::from_utf8(write(&message)).unwrap()
    }

    #[test]
    fn has_the_required_attributes_and_the_data_as_it_is() {
        assert_eq!(
            written(Some("42"), br#"{"a": 1}"#),
            r#"{"specversion":"1.0","id":"1","source":"/shop","type":"order.paid","time":"1970-01-01T00:00:00.000Z","subject":"42","datacontenttype":"application/json","data":{"a": 1}}"#
        );
    }

    #[test]
    fn leaves_out_what_the_event_does_not_have() {
        let text = written(Some(""), b"");
        assert!(
            !text.contains("subject") && !text.contains("data"),
            "{text}"
        );
        assert!(
            written(None, b"hi")
                .ends_with(r#""datacontenttype":"text/plain; charset=utf-8","data":"hi"}"#)
        );
        assert!(
            written(None, b"\xff")
                .ends_with(r#""datacontenttype":"application/octet-stream","data_base64":"/w=="}"#)
        );
    }
}
