//! Plain JSON: the data as it is, with what the event is in front of it.

use super::data::{Data, write_member, write_time};
use crate::message::Message;

pub(super) fn write(message: &Message<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.data.len() + 256);
    out.push(b'{');
    write_member(&mut out, "id", message.id);
    out.push(b',');
    write_member(&mut out, "type", message.kind);
    out.push(b',');
    write_member(&mut out, "timestamp", &write_time(message.timestamp));
    out.push(b',');
    match message.subject {
        Some(subject) => write_member(&mut out, "subject", subject),
        None => out.extend_from_slice(b"\"subject\":null"),
    }
    out.push(b',');
    Data::of(message.data).write_member(&mut out);
    out.push(b'}');
    out
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use proptest::prelude::*;

    use super::*;

    fn written(id: &str, subject: Option<&str>, data: &[u8]) -> String {
        let timestamp = SystemTime::UNIX_EPOCH + Duration::from_secs(1_614_265_330);
        String::from_utf8(write(&Message {
            id,
            kind: "a\"b",
            timestamp,
            source: "/",
            subject,
            data,
        }))
        .unwrap()
    }

    #[test]
    fn passes_json_on_as_it_is() {
        assert_eq!(
            written("1", Some("42"), b" {\"b\" : 1.10,  \"a\":[ ]}\n"),
            r#"{"id":"1","type":"a\"b","timestamp":"2021-02-25T15:02:10.000Z","subject":"42","data":{"b" : 1.10,  "a":[ ]}}"#
        );
    }

    #[test]
    fn says_what_is_no_json_as_a_string_or_in_base64() {
        assert!(written("1", None, b"").ends_with(r#""subject":null,"data":null}"#));
        assert!(written("1", None, "{안\n".as_bytes()).ends_with(r#""data":"{안\n"}"#));
        assert!(written("1", None, b"\xff\0").ends_with(r#""data_base64":"/wA="}"#));
    }

    proptest! {
        #[test]
        fn is_json_whatever_the_event_is(id in "\\PC*", data in proptest::collection::vec(any::<u8>(), 0..40)) {
            let text = written(&id, Some(&id), &data);
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&value["id"], &id);
        }
    }
}
