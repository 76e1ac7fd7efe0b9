//! What became of the chosen events, told in the end.

use cdc_store::FailedEventId;
use serde_json::{Value, json};

use super::say_json;
use crate::error_code::ErrorCode;
use crate::failure::Failure;
use crate::terminal::say;

/// What was done and what was not.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Such as "replayed"; also the name of the count in JSON.
    verb: &'static str,
    /// The events for which it was done.
    pub(super) done: Vec<FailedEventId>,
    /// The others, each with why.
    pub(super) left: Vec<Left>,
    /// Events that were not come to, since somebody interrupted.
    pub(super) untouched: usize,
}

/// An event for which it was not done.
#[derive(Debug)]
pub(super) struct Left {
    /// Its number.
    pub(super) id: FailedEventId,
    /// The error's code, if there was one.
    pub(super) code: Option<ErrorCode>,
    /// Why.
    pub(super) reason: String,
}

impl Outcome {
    /// Nothing yet.
    pub(super) fn new(verb: &'static str) -> Self {
        Self {
            verb,
            done: Vec::new(),
            left: Vec::new(),
            untouched: 0,
        }
    }

    /// Leaves an event out.
    pub(super) fn leave(&mut self, id: FailedEventId, reason: impl Into<String>) {
        self.left.push(Left {
            id,
            code: None,
            reason: reason.into(),
        });
    }

    /// Says what would be done.
    pub(super) fn say_planned(
        &self,
        planned: &[FailedEventId],
        as_json: bool,
    ) -> Result<(), Failure> {
        if as_json {
            return say_json(&json!({
                "dry_run": true,
                "selected": numbers(planned),
                "left": self.left_as_json(),
            }));
        }
        say(format!("{} would be {}", events(planned.len()), self.verb));
        for chunk in planned.chunks(10) {
            let ids: Vec<String> = chunk.iter().map(ToString::to_string).collect();
            say(format!("  {}", ids.join(" ")));
        }
        self.say_left();
        Ok(())
    }

    /// Says what was done.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::RecoveryIncomplete`] when events were left out.
    pub(super) fn say(&self, as_json: bool) -> Result<(), Failure> {
        if as_json {
            say_json(&json!({
                "dry_run": false,
                self.verb: numbers(&self.done),
                "left": self.left_as_json(),
                "untouched": self.untouched,
            }))?;
        } else {
            say(format!("{} {}", events(self.done.len()), self.verb));
            self.say_left();
            if self.untouched > 0 {
                say(format!(
                    "{} not touched, since it was interrupted",
                    events(self.untouched)
                ));
            }
        }
        if self.left.is_empty() {
            return Ok(());
        }
        Err(Failure::new(
            ErrorCode::RecoveryIncomplete,
            format!(
                "{} not {}; the reasons are above",
                events(self.left.len()),
                self.verb
            ),
            "repair the causes and run the same again; it takes up only what is still open",
        ))
    }

    fn say_left(&self) {
        for Left { id, code, reason } in &self.left {
            let code = code.map_or(String::new(), |code| format!("{code}: "));
            say(format!("  {id} not {}: {code}{reason}", self.verb));
        }
    }

    fn left_as_json(&self) -> Vec<Value> {
        let left = self.left.iter().map(|left| {
            json!({
                "id": left.id.get(),
                "code": left.code.map(ErrorCode::as_str),
                "reason": left.reason,
            })
        });
        left.collect()
    }
}

fn numbers(ids: &[FailedEventId]) -> Vec<i64> {
    ids.iter().map(|id| id.get()).collect()
}

/// How many events, in words.
pub(in crate::command) fn events(count: usize) -> String {
    match count {
        1 => "1 event".to_owned(),
        count => format!("{count} events"),
    }
}
