//! `cdc-relay endpoint attempts`.

use notifier::{AttemptFilter, Deliveries, PastAttempt};
use pg_replication::ConnectOptions;
use serde_json::{Value, json};

use super::STATEMENT_LIMIT;
use crate::cli::{After, EndpointAttempts};
use crate::command::page::Page;
use crate::command::recover::{aligned, say_json, time};
use crate::config::Config;
use crate::failure::Failure;
use crate::terminal::say;

pub(super) async fn list(
    arguments: &EndpointAttempts,
    store: &ConnectOptions,
    config: &Config,
) -> Result<(), Failure> {
    let mut deliveries = Deliveries::new(store, STATEMENT_LIMIT);
    let filter = AttemptFilter {
        event_id: arguments.event.clone(),
        endpoint: arguments.endpoint.clone(),
        code: arguments.code.clone(),
        status: arguments.status,
        older_than: arguments.older_than,
        newer_than: arguments.newer_than,
    };
    let (limit, after) = (arguments.limit, arguments.after.as_ref());
    let found = deliveries
        .attempts(&filter, after.map(|after| &after.0), limit + 1)
        .await;
    let found = found.map_err(|error| Failure::from_notifier(error, config))?;
    let page = Page::of(found, limit, |last| After(last.place()).to_string());
    if arguments.json {
        let attempts: Vec<_> = page.rows.iter().map(as_json).collect();
        return say_json(&json!({ "attempts": attempts, "next": page.next }));
    }
    if page.rows.is_empty() {
        say("no such requests were kept; `notify.attempt_log` says which are");
        return Ok(());
    }
    let mut rows = vec![["AT", "EVENT", "ENDPOINT", "TOOK", "STATUS", "CODE"].map(str::to_owned)];
    rows.extend(page.rows.iter().map(|attempt| {
        [
            time(attempt.at),
            attempt.event_id.clone(),
            attempt.endpoint.to_string(),
            format!("{} ms", attempt.took.as_millis()),
            attempt
                .status
                .map_or("-".to_owned(), |status| status.to_string()),
            attempt.code.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    }));
    say(aligned(&rows));
    page.say_next();
    Ok(())
}

fn as_json(attempt: &PastAttempt) -> Value {
    json!({
        "event_id": attempt.event_id,
        "endpoint": attempt.endpoint.as_str(),
        "at": time(attempt.at),
        "took_ms": u64::try_from(attempt.took.as_millis()).unwrap_or(u64::MAX),
        "status": attempt.status,
        "code": attempt.code,
        "excerpt": attempt.excerpt,
    })
}
