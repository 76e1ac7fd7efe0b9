//! `cdc-relay endpoint list`.

use std::num::NonZeroU32;

use notifier::{EndpointInfo, EndpointState, Endpoints};
use serde_json::{Value, json};

use crate::cli::EndpointList;
use crate::command::page::Page;
use crate::command::recover::{aligned, say_json, time};
use crate::config::Config;
use crate::failure::Failure;
use crate::terminal::say;

/// Characters of a URL: what comes behind may be a secret of a chat.
const URL: usize = 40;

pub(super) async fn run(
    arguments: &EndpointList,
    mut endpoints: Endpoints,
    config: &Config,
) -> Result<(), Failure> {
    let limit = arguments.limit.map(NonZeroU32::get);
    let one_more = limit.map(|limit| limit.saturating_add(1));
    let found = endpoints.page(arguments.after.as_ref(), one_more).await;
    let found = found.map_err(|error| Failure::from_notifier(error, config))?;
    let page = Page::of(found, limit.unwrap_or(u32::MAX), |last| last.id.to_string());
    if arguments.json {
        let endpoints: Vec<_> = page.rows.iter().map(as_json).collect();
        return say_json(&json!({ "endpoints": endpoints, "next": page.next }));
    }
    if page.rows.is_empty() {
        say(arguments.after.as_ref().map_or_else(
            || {
                "there are no endpoints; `cdc-relay endpoint add --help` shows how to add one"
                    .to_owned()
            },
            |after| format!("there are no endpoints after {after}"),
        ));
        return Ok(());
    }
    let mut rows = vec![
        [
            "ENDPOINT",
            "STATE",
            "FORMAT",
            "GUARANTEE",
            "FAILING SINCE",
            "URL",
        ]
        .map(str::to_owned),
    ];
    rows.extend(page.rows.iter().map(|endpoint| {
        let state = match &endpoint.state {
            EndpointState::Enabled => "enabled".to_owned(),
            EndpointState::Disabled { reason, since } => {
                format!("disabled {}: {reason}", time(*since))
            }
        };
        [
            endpoint.id.to_string(),
            state,
            endpoint.format.clone(),
            endpoint.guarantee.as_str().to_owned(),
            endpoint.failing_since.map_or("-".to_owned(), time),
            shortened(&endpoint.url),
        ]
    }));
    say(aligned(&rows));
    page.say_next();
    Ok(())
}

pub(super) fn shortened(url: &str) -> String {
    match url.char_indices().nth(URL) {
        Some((end, _)) => format!("{}…", &url[..end]),
        None => url.to_owned(),
    }
}

fn as_json(endpoint: &EndpointInfo) -> Value {
    let (state, reason, since) = match &endpoint.state {
        EndpointState::Enabled => ("enabled", None, None),
        EndpointState::Disabled { reason, since } => ("disabled", Some(reason), Some(time(*since))),
    };
    json!({
        "id": endpoint.id.as_str(),
        "url": endpoint.url,
        "format": endpoint.format,
        "state": state,
        "disabled_reason": reason,
        "disabled_since": since,
        "guarantee": endpoint.guarantee.as_str(),
        "max_concurrency": endpoint.limits.max_concurrency,
        "rate_per_second": endpoint.limits.rate_per_second,
        "ordered": endpoint.limits.ordered,
        "signed": endpoint.signed,
        "failing_since": endpoint.failing_since.map(time),
        "created_at": time(endpoint.created_at),
    })
}
