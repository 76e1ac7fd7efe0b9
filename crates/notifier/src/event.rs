//! An event, as a record carries it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cdc_event::{ErrorCode, HandlerError, KafkaPosition, Record};
use webhook::{ExtraHeaders, WebhookId};

/// The code of a record that is no event.
const MALFORMED: ErrorCode = ErrorCode::from_static("event-malformed");

/// Headers with the event's id, the first that is there.
const ID: [&str; 2] = ["id", "ce_id"];

/// Headers with its type, likewise: where Debezium's users place it, under its own name, and that of CloudEvents.
const KIND: [&str; 3] = ["eventType", "type", "ce_type"];

/// W3C Trace Context.
const TRACE: [&str; 2] = ["traceparent", "tracestate"];

const SOURCE: &str = "ce_source";
const SUBJECT: &str = "ce_subject";

/// An event, ready to be made into messages.
#[derive(Debug)]
pub(crate) struct Event {
    /// What its deliveries are known by, and what receivers drop duplicates by.
    pub(crate) id: WebhookId,
    /// The id as it was given.
    pub(crate) given_id: String,
    pub(crate) kind: Arc<str>,
    pub(crate) subject: Option<Arc<str>>,
    pub(crate) source: String,
    pub(crate) timestamp: SystemTime,
    pub(crate) data: Vec<u8>,
    /// The trace that it belongs to.
    pub(crate) trace: ExtraHeaders,
    /// Where its record is in Kafka, for people.
    pub(crate) origin: KafkaPosition,
}

impl Event {
    /// Reads a record. Its id is that of its header, else where it was first read; its type that of a header, else the
    /// topic; its subject that of `ce_subject`, else the key.
    ///
    /// # Errors
    ///
    /// What has to be text is not: it never will be.
    pub(crate) fn read(record: &Record) -> Result<Self, HandlerError> {
        let origin = &record.origin;
        let given_id = given_id(record)?;
        let subject = match first(record, &[SUBJECT])? {
            Some(subject) => Some(subject),
            None => record
                .key
                .as_deref()
                .map(|key| text("the key", key))
                .transpose()?,
        };
        Ok(Self {
            id: webhook_id(&given_id)?,
            given_id,
            kind: first(record, &KIND)?.unwrap_or(&origin.topic).into(),
            subject: subject.map(Into::into),
            source: first(record, &[SOURCE])?
                .map_or_else(|| ["/", &origin.topic].concat(), str::to_owned),
            timestamp: record.timestamp_ms.map_or_else(SystemTime::now, time),
            data: record.value.clone().unwrap_or_default(),
            trace: trace(record),
            origin: origin.clone(),
        })
    }
}

/// What the deliveries of a record are known by: `webhook-id`, and [`Delivery::event_id`](crate::Delivery::event_id).
/// `None` for one that is no event.
#[must_use]
pub fn event_id(record: &Record) -> Option<String> {
    let id = webhook_id(&given_id(record).ok()?).ok()?;
    Some(id.as_str().to_owned())
}

fn given_id(record: &Record) -> Result<String, HandlerError> {
    let origin = &record.origin;
    Ok(match first(record, &ID)? {
        Some(id) => id.to_owned(),
        None => format!("{}-{}-{}", origin.topic, origin.partition, origin.offset),
    })
}

fn webhook_id(given: &str) -> Result<WebhookId, HandlerError> {
    WebhookId::new(given).map_err(|error| malformed("the id cannot be sent").caused_by(error))
}

/// Passes on what can be sent. What cannot is no reason to keep the event back.
fn trace(record: &Record) -> ExtraHeaders {
    let mut headers = ExtraHeaders::default();
    for name in TRACE {
        if let Ok(Some(value)) = first(record, &[name]) {
            drop(headers.set(name, value));
        }
    }
    headers
}

/// The first of these headers that is there and not empty.
fn first<'a>(record: &'a Record, names: &[&'static str]) -> Result<Option<&'a str>, HandlerError> {
    for name in names {
        let value = record
            .headers
            .last(name)
            .and_then(|header| header.value.as_deref());
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            return text(name, value).map(Some);
        }
    }
    Ok(None)
}

/// Text that PostgreSQL can compare with a subscription's: NUL is in no text of it.
fn text<'a>(what: &'static str, bytes: &'a [u8]) -> Result<&'a str, HandlerError> {
    match str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        Ok(_) => Err(malformed(&format!("{what} has a NUL in it"))),
        Err(error) => Err(malformed(&format!("{what} is not text")).caused_by(error)),
    }
}

fn malformed(what: &str) -> HandlerError {
    HandlerError::new(MALFORMED, format!("the record is no event: {what}"))
}

/// Times that the system cannot hold count as 1970.
fn time(milliseconds: i64) -> SystemTime {
    let distance = Duration::from_millis(milliseconds.unsigned_abs());
    let time = if milliseconds < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use cdc_event::Headers;

    use super::*;

    fn record(headers: &[(&str, &[u8])]) -> Record {
        let mut own = Headers::new();
        for (name, value) in headers {
            own.push(*name, Some(value.to_vec()));
        }
        Record {
            origin: KafkaPosition {
                topic: "posts".into(),
                partition: 3,
                offset: 14,
            },
            part: None,
            key: Some(b"ann".to_vec()),
            value: Some(b"{}".to_vec()),
            headers: own,
            timestamp_ms: Some(1_700_000_000_123),
        }
    }

    #[test]
    fn reads_what_the_relay_writes() {
        let event =
            Event::read(&record(&[("id", b"e-1"), ("eventType", b"post.created")])).unwrap();
        assert_eq!((event.id.as_str(), &*event.kind), ("e-1", "post.created"));
        assert_eq!(event.subject.as_deref(), Some("ann"));
        assert_eq!(
            event.timestamp,
            UNIX_EPOCH + Duration::from_millis(1_700_000_000_123)
        );
    }

    #[test]
    fn reads_a_cloud_event() {
        let event = Event::read(&record(&[
            ("ce_id", b"e-2"),
            ("ce_type", b"t"),
            ("ce_source", b"/shop"),
            ("ce_subject", b"bob"),
        ]))
        .unwrap();
        assert_eq!(
            (event.id.as_str(), &*event.kind, event.source.as_str()),
            ("e-2", "t", "/shop")
        );
        assert_eq!(event.subject.as_deref(), Some("bob"));
    }

    #[test]
    fn a_record_without_id_is_known_by_its_place_so_that_no_two_are_the_same() {
        let ids: Vec<_> = [(1, 12), (11, 2), (1, 2)]
            .map(|(partition, offset)| {
                let mut record = record(&[]);
                record.origin = KafkaPosition {
                    topic: "a.b".into(),
                    partition,
                    offset,
                };
                Event::read(&record).unwrap().id.as_str().to_owned()
            })
            .to_vec();
        assert_eq!(ids, ["a%2Eb-1-12", "a%2Eb-11-2", "a%2Eb-1-2"]);
    }

    #[test]
    fn the_topic_is_the_type_of_an_event_without_one() {
        assert_eq!(
            Event::read(&record(&[("id", b"e")])).unwrap().kind.as_ref(),
            "posts"
        );
    }

    #[test]
    fn what_is_no_text_is_poison() {
        let mut no_text = record(&[]);
        no_text.key = Some(vec![0xff]);
        let mut nul = record(&[]);
        nul.key = Some(b"a\0b".to_vec());
        for record in [
            record(&[("id", &[0xff])]),
            record(&[("type", b"\0")]),
            no_text,
            nul,
            record(&[("id", &[b'x'; 600])]),
        ] {
            assert_eq!(Event::read(&record).unwrap_err().code(), &MALFORMED);
        }
    }

    #[test]
    fn a_record_without_key_or_value_is_an_event_all_the_same() {
        let mut bare = record(&[]);
        (bare.key, bare.value, bare.timestamp_ms) = (None, None, Some(i64::MIN));
        let event = Event::read(&bare).unwrap();
        assert_eq!((event.subject, event.data), (None, Vec::new()));
    }
}
