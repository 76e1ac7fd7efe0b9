//! `cdc-relay endpoint attempts`.

use notifier::{Deliveries, PastAttempt};
use pg_replication::ConnectOptions;
use serde_json::{Value, json};

use super::STATEMENT_LIMIT;
use crate::cli::EndpointAttempts;
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
    let found = deliveries
        .attempts(
            arguments.event.as_deref(),
            arguments.endpoint.as_ref(),
            arguments.limit,
        )
        .await;
    let found = found.map_err(|error| Failure::from_notifier(error, config))?;
    if arguments.json {
        let attempts: Vec<_> = found.iter().map(as_json).collect();
        return say_json(&json!({ "attempts": attempts }));
    }
    if found.is_empty() {
        say("no such requests were kept; `notify.attempt_log` says which are");
        return Ok(());
    }
    let mut rows = vec![["AT", "EVENT", "ENDPOINT", "TOOK", "STATUS", "CODE"].map(str::to_owned)];
    rows.extend(found.iter().map(|attempt| {
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
