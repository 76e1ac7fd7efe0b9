//! What is told.

use std::time::{Duration, SystemTime};

use cdc_store::AlertClaim;
use serde_json::{Value, json};

/// Red, where a chat service has a use for it.
const COLOR: &str = "#D32F2F";

/// Causes that people are told, and characters of each: a chat message is short.
const TOLD_CAUSES: usize = 3;
const TOLD_CHARS: usize = 300;

/// Characters of each cause, and of the backtrace, for programs: the store has more of them, and a webhook's body has a
/// bound.
const CAUSE_CHARS: usize = 1_000;
const BACKTRACE_CHARS: usize = 8_000;

/// Failures of one reason, to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// The reason.
    pub fingerprint: String,
    /// The slot or the consumer group.
    pub scope: String,
    /// The topic that it is about.
    pub topic: Option<String>,
    /// The error's code.
    pub code: String,
    /// The error's message, of the event that failed last.
    pub message: String,
    /// The causes of that error, outermost first.
    pub causes: Vec<String>,
    /// Where it happened, if its consumer says so.
    pub backtrace: Option<String>,
    /// Open events that failed since the last alert.
    pub failures: u64,
    /// All open events of this reason.
    pub open: u64,
    /// The number of the event that failed last.
    pub last_event: i64,
    /// When it failed.
    pub last_failed_at: SystemTime,
    /// The next alert of this reason comes not before.
    pub window: Duration,
}

impl Alert {
    pub(super) fn of(claim: &AlertClaim, window: Duration) -> Self {
        Self {
            fingerprint: claim.fingerprint.to_string(),
            scope: claim.scope.clone(),
            topic: claim.topic.clone(),
            code: claim.code.clone(),
            message: claim.message.clone(),
            causes: claim.causes.clone(),
            backtrace: claim.backtrace.clone(),
            failures: claim.failures,
            open: claim.open,
            last_event: claim.last_event.get(),
            last_failed_at: claim.last_failed_at,
            window,
        }
    }

    /// The same for each alert, and for each try to send it.
    #[must_use]
    pub fn id(&self) -> String {
        let at = self
            .last_failed_at
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        format!("alert-{}-{}", self.fingerprint, at.as_micros())
    }

    /// In one line.
    #[must_use]
    pub fn title(&self) -> String {
        let events = match self.failures {
            1 => "1 event".to_owned(),
            count => format!("{count} events"),
        };
        let topic = self.topic.as_deref().unwrap_or("an unknown topic");
        format!(
            "{events} of {topic} failed in {} with {}",
            self.scope, self.code
        )
    }

    /// What to look at the last event with.
    #[must_use]
    pub fn show_command(&self) -> String {
        format!("cdc-relay recover show {}", self.last_event)
    }

    /// What to send all of them again with.
    #[must_use]
    pub fn replay_command(&self) -> String {
        format!(
            "cdc-relay recover replay --fingerprint {}",
            self.fingerprint
        )
    }

    /// For people, in lines below the title.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "{}{}\nopen for this reason: {}, the last at {}\n{}\n{}",
            self.message,
            self.told_causes(),
            self.open,
            humantime::format_rfc3339_seconds(self.last_failed_at),
            self.show_command(),
            self.replay_command()
        )
    }

    /// Each in a line of its own.
    fn told_causes(&self) -> String {
        let told = self.causes.iter().take(TOLD_CAUSES);
        told.map(|cause| {
            let line = cause.lines().next().unwrap_or_default();
            format!("\ncaused by: {}", shortened(line, TOLD_CHARS))
        })
        .collect()
    }

    /// For programs, with the fields that chat services show.
    #[must_use]
    pub fn json(&self) -> Value {
        let causes: Vec<_> = self
            .causes
            .iter()
            .map(|cause| shortened(cause, CAUSE_CHARS))
            .collect();
        let backtrace = self.backtrace.as_deref();
        json!({
            "title": self.title(),
            "text": self.text(),
            "color": COLOR,
            "code": self.code,
            "message": self.message,
            "causes": causes,
            "backtrace": backtrace.map(|text| shortened(text, BACKTRACE_CHARS)),
            "scope": self.scope,
            "topic": self.topic,
            "failures": self.failures,
            "open": self.open,
            "fingerprint": self.fingerprint,
            "last_event": self.last_event,
            "last_failed_at": humantime::format_rfc3339_micros(self.last_failed_at).to_string(),
            "window_seconds": self.window.as_secs(),
            "show": self.show_command(),
            "replay": self.replay_command(),
        })
    }
}

fn shortened(text: &str, chars: usize) -> &str {
    let end = text.char_indices().nth(chars);
    end.map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_long_the_causes_are_the_alert_is_not() {
        // Each of them takes six bytes in JSON.
        let long = "\u{1}".repeat(16 * 1024);
        let alert = Alert {
            fingerprint: "f".into(),
            scope: "billing".into(),
            topic: None,
            code: "x".into(),
            message: "no".into(),
            causes: vec![long.clone(); 16],
            backtrace: Some(long),
            failures: 1,
            open: 1,
            last_event: 1,
            last_failed_at: SystemTime::UNIX_EPOCH,
            window: Duration::ZERO,
        };
        assert!(alert.text().len() < 2_000);
        assert!(alert.json().to_string().len() < 200 * 1024);
        assert_eq!(shortened("äöü", 2), "äö");
    }
}
