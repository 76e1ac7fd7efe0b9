//! What became of what an endpoint missed, told in the end.

use std::collections::BTreeMap;

use notifier::{EndpointId, MissedCount, MissedEvent};
use serde_json::{Value, json};

use crate::command::recover::outcome::events;
use crate::command::recover::say_json;
use crate::error_code::ErrorCode;
use crate::failure::Failure;
use crate::terminal::say;

/// Why an event cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// Kafka has removed the record by now, or another one is in its place.
    Gone,
    /// There is no such topic any more.
    NoTopic,
    /// The notifier does not read the topic any more.
    NotNotified,
    /// Kafka does not take it.
    Refused {
        /// Its code.
        code: ErrorCode,
        /// In one line.
        text: String,
    },
}

/// Events of a partition that were left for the same reason. However many they are, this is all that is kept of them.
#[derive(Debug)]
struct Left {
    events: usize,
    first: i64,
    last: i64,
}

/// What was done and what was not.
#[derive(Debug)]
pub(super) struct Outcome {
    endpoint: EndpointId,
    /// What there was at the beginning.
    count: MissedCount,
    dry_run: bool,
    /// Events that were sent, or would be.
    pub(super) done: usize,
    left: BTreeMap<(String, i32, Reason), Left>,
    /// It ended early.
    pub(super) interrupted: bool,
}

impl Reason {
    fn text(&self) -> &str {
        match self {
            Self::Gone => "Kafka no longer has the records",
            Self::NoTopic => "the topic does not exist any more",
            Self::NotNotified => "the topic is none of `notify.topics`",
            Self::Refused { text, .. } => text,
        }
    }

    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Gone | Self::NoTopic | Self::NotNotified => None,
        }
    }
}

impl Outcome {
    /// Nothing yet.
    pub(super) fn new(endpoint: &EndpointId, count: MissedCount, dry_run: bool) -> Self {
        Self {
            endpoint: endpoint.clone(),
            count,
            dry_run,
            done: 0,
            left: BTreeMap::new(),
            interrupted: false,
        }
    }

    /// Leaves events of a partition out.
    pub(super) fn leave(&mut self, events: &[MissedEvent], reason: &Reason) {
        for event in events {
            let origin = &event.origin;
            let key = (origin.topic.clone(), origin.partition, reason.clone());
            let left = self.left.entry(key).or_insert(Left {
                events: 0,
                first: origin.offset,
                last: origin.offset,
            });
            left.events += 1;
            left.last = origin.offset;
        }
    }

    /// Says what was done.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::RecoveryIncomplete`] when events were left out. Not for what only would be done.
    pub(super) fn say(&self, as_json: bool) -> Result<(), Failure> {
        let nowhere = usize::try_from(self.count.nowhere).unwrap_or(usize::MAX);
        let left = self.left.values().map(|left| left.events).sum::<usize>() + nowhere;
        if as_json {
            say_json(&self.as_json(nowhere))?;
        } else {
            self.say_text(nowhere);
        }
        if left == 0 || self.dry_run {
            return Ok(());
        }
        let endpoint = &self.endpoint;
        Err(Failure::new(
            ErrorCode::RecoveryIncomplete,
            format!(
                "{} not sent to {endpoint}; the reasons are above",
                events(left)
            ),
            format!(
                "repair the causes and run the same again; what Kafka has lost only who wrote it can write again, and \
                 `cdc-relay endpoint deliveries --endpoint {endpoint} --state missed` lists it"
            ),
        ))
    }

    fn say_text(&self, nowhere: usize) {
        let done = if self.dry_run {
            "would be sent"
        } else {
            "sent"
        };
        say(format!("{} {done} to {}", events(self.done), self.endpoint));
        for ((topic, partition, reason), left) in &self.left {
            let code = reason
                .code()
                .map_or(String::new(), |code| format!("{code}: "));
            say(format!(
                "  {} of {topic}[{partition}], offsets {} to {}, not sent: {code}{}",
                events(left.events),
                left.first,
                left.last,
                reason.text()
            ));
        }
        if nowhere > 0 {
            let events = events(nowhere);
            say(format!(
                "  {events} not sent: it is not known where the records are"
            ));
        }
        if self.untouched() > 0 {
            let events = events(self.untouched());
            say(format!("{events} not touched, since it was interrupted"));
        }
    }

    fn as_json(&self, nowhere: usize) -> Value {
        let mut left: Vec<Value> = self.left.iter().map(as_json).collect();
        if nowhere > 0 {
            left.push(json!({
                "topic": null, "partition": null, "first_offset": null, "last_offset": null, "events": nowhere,
                "code": null, "reason": "it is not known where the records are",
            }));
        }
        json!({
            "dry_run": self.dry_run,
            "endpoint": self.endpoint.as_str(),
            "events": self.done,
            "left": left,
            "untouched": self.untouched(),
        })
    }

    /// Events that were not come to, since somebody interrupted.
    fn untouched(&self) -> usize {
        if !self.interrupted {
            return 0;
        }
        let touched = self.done + self.left.values().map(|left| left.events).sum::<usize>();
        usize::try_from(self.count.events)
            .unwrap_or(usize::MAX)
            .saturating_sub(touched)
    }
}

fn as_json(((topic, partition, reason), left): (&(String, i32, Reason), &Left)) -> Value {
    json!({
        "topic": topic,
        "partition": partition,
        "first_offset": left.first,
        "last_offset": left.last,
        "events": left.events,
        "code": reason.code().map(ErrorCode::as_str),
        "reason": reason.text(),
    })
}
