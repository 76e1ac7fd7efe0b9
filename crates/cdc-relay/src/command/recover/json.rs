//! Failed events as JSON.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cdc_event::PartId;
use cdc_store::{Action, FailedEvent, FailedEventDetails, Group, Origin, Stats, StatusCount};
use serde_json::{Value, json};

/// One event, without the bulk of its record.
pub(super) fn event(event: &FailedEvent) -> Value {
    json!({
        "id": event.id.get(),
        "status": event.status.as_str(),
        "source": event.origin.source().as_str(),
        "origin": origin(&event.origin),
        "event_id": event.event_id,
        "topic": event.target.as_ref().map(|target| &target.topic),
        "partition": event.target.as_ref().and_then(|target| target.partition),
        "key": event.key.as_deref().map(bytes),
        "payload_bytes": event.payload_bytes,
        "error": {
            "code": event.error.code(),
            "message": event.error.message(),
            "chain": event.error.chain(),
            "backtrace": event.error.backtrace(),
        },
        "attempts": event.attempts,
        "first_failed_at": time(event.first_failed_at),
        "last_failed_at": time(event.last_failed_at),
        "fingerprint": event.fingerprint.as_str(),
        "status_changed_at": time(event.status_changed_at),
        "status_changed_by": event.status_changed_by,
        "note": event.note,
        "lease_until": event.lease_until.map(time),
    })
}

/// One event with everything.
pub(super) fn details(details: &FailedEventDetails) -> Value {
    let mut value = event(&details.event);
    let headers = details.contents.headers.as_slice().iter();
    let headers: Vec<Value> = headers
        .map(|header| json!({"name": header.name, "value": header.value.as_deref().map(bytes)}))
        .collect();
    value["headers"] = headers.into();
    value["payload"] = details.contents.payload.as_deref().map(bytes).into();
    value["timestamp_ms"] = details.contents.timestamp_ms.into();
    value["actions"] = details.actions.iter().map(action).collect();
    value
}

/// All figures.
pub(super) fn stats(stats: &Stats) -> Value {
    json!({
        "statuses": stats.statuses.iter().map(status_count).collect::<Vec<_>>(),
        "groups": stats.groups.iter().map(group).collect::<Vec<_>>(),
    })
}

/// Text where it is text, otherwise `{"base64": "…"}`.
fn bytes(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({"base64": STANDARD.encode(bytes)}),
    }
}

fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_micros(time).to_string()
}

fn origin(origin: &Origin) -> Value {
    match origin {
        // As text: these numbers may be larger than a JSON reader takes exactly.
        Origin::Relay {
            system_id,
            slot,
            position,
        } => json!({
            "system_id": system_id.get().to_string(),
            "slot": slot.as_str(),
            "commit_lsn": position.commit_lsn.to_string(),
            "change_index": position.index.get(),
        }),
        Origin::Consumer {
            group,
            record,
            part,
        } => json!({
            "group": group,
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "part": part.as_ref().map(PartId::as_str),
        }),
    }
}

fn action(action: &Action) -> Value {
    let mut value = json!({
        "status": action.status.as_str(),
        "at": time(action.at),
        "by": action.actor,
        "note": action.note,
    });
    if let Some(replaced) = &action.replaced {
        value["replaced_payload"] = replaced.payload.as_deref().map(bytes).into();
    }
    value
}

fn status_count(count: &StatusCount) -> Value {
    json!({
        "status": count.status.as_str(),
        "events": count.events,
        "payload_bytes": count.payload_bytes,
        "oldest": count.oldest.map(time),
    })
}

fn group(group: &Group) -> Value {
    json!({
        "fingerprint": group.fingerprint.as_str(),
        "scope": group.scope,
        "topic": group.topic,
        "code": group.code,
        "message": group.message,
        "events": group.events,
        "first_failed_at": time(group.first_failed_at),
        "last_failed_at": time(group.last_failed_at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_text_only_where_they_are() {
        assert_eq!(bytes(b"{\"a\":1}"), json!("{\"a\":1}"));
        assert_eq!(bytes(b""), json!(""));
        assert_eq!(bytes(&[0xff, 0]), json!({"base64": "/wA="}));
    }
}
