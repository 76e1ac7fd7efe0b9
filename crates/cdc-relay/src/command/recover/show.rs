//! `cdc-relay recover show`.

use cdc_store::{FailedEventDetails, FailedEvents, ReplacedPayload};

use super::{json, say_json, text, told};
use crate::cli::RecoverShow;
use crate::config::Config;
use crate::error_code::ErrorCode;
use crate::failure::Failure;
use crate::terminal::say;

pub(super) async fn run(
    arguments: &RecoverShow,
    mut store: FailedEvents,
    config: &Config,
) -> Result<(), Failure> {
    let id = arguments.id;
    let Some(details) = store.get(id).await.map_err(told(config))? else {
        return Err(Failure::new(
            ErrorCode::Argument,
            format!("there is no failed event {id}"),
            "`cdc-relay recover list` shows the numbers",
        ));
    };
    if arguments.json {
        return say_json(&json::details(&details));
    }
    say(rendered(&details));
    Ok(())
}

fn rendered(details: &FailedEventDetails) -> String {
    let event = &details.event;
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    let mut rows = vec![
        ["failed event".to_owned(), event.id.to_string()],
        ["status".to_owned(), status(details)],
        [
            "event id".to_owned(),
            or_none(event.event_id.as_deref().map(text::printable)),
        ],
        ["origin".to_owned(), event.origin.to_string()],
        ["topic".to_owned(), target(details)],
        ["attempts".to_owned(), event.attempts.to_string()],
        [
            "first failure".to_owned(),
            text::time(event.first_failed_at),
        ],
        ["last failure".to_owned(), text::time(event.last_failed_at)],
        ["reason".to_owned(), event.fingerprint.to_string()],
        [
            "error".to_owned(),
            format!(
                "{}: {}",
                event.error.code(),
                text::printable(event.error.message())
            ),
        ],
    ];
    let causes = event.error.chain().iter();
    rows.extend(causes.map(|cause| ["  caused by".to_owned(), text::printable(cause)]));
    let backtrace = event.error.backtrace().unwrap_or_default().lines();
    rows.extend(backtrace.map(|line| ["  at".to_owned(), text::printable(line)]));
    rows.extend(details.actions.iter().map(|action| {
        let note = action
            .note
            .as_deref()
            .map_or(String::new(), |note| format!(": {}", text::printable(note)));
        let replaced = match &action.replaced {
            Some(ReplacedPayload { payload }) => format!(
                "; the payload was {}",
                or_none(payload.as_deref().map(text::bytes))
            ),
            None => String::new(),
        };
        [
            "history".to_owned(),
            format!(
                "{} {} by {}{note}{replaced}",
                text::time(action.at),
                action.status,
                text::printable(&action.actor)
            ),
        ]
    }));
    let contents = &details.contents;
    rows.push([
        "key".to_owned(),
        or_none(contents.key.as_deref().map(text::bytes)),
    ]);
    rows.extend(contents.headers.as_slice().iter().map(|header| {
        let value = or_none(header.value.as_deref().map(text::bytes));
        [
            "header".to_owned(),
            format!("{}: {value}", text::printable(&header.name)),
        ]
    }));
    rows.push([
        "payload".to_owned(),
        or_none(contents.payload.as_deref().map(text::bytes)),
    ]);
    text::aligned(&rows)
}

fn status(details: &FailedEventDetails) -> String {
    let event = &details.event;
    match event.lease_until {
        Some(until) => format!("{} until {} at the latest", event.status, text::time(until)),
        None => event.status.to_string(),
    }
}

fn target(details: &FailedEventDetails) -> String {
    match &details.event.target {
        Some(target) => match target.partition {
            Some(partition) => format!("{}, partition {partition}", target.topic),
            None => target.topic.clone(),
        },
        None => "none, so it cannot be replayed".to_owned(),
    }
}
