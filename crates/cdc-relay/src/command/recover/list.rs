//! `cdc-relay recover list`.

use cdc_store::{FailedEvents, Status};
use serde_json::{Value, json};

use super::{json, say_json, select, text, told};
use crate::cli::RecoverList;
use crate::config::Config;
use crate::failure::Failure;
use crate::terminal::say;

pub(super) async fn run(
    arguments: &RecoverList,
    mut store: FailedEvents,
    config: &Config,
) -> Result<(), Failure> {
    let mut filter = select::filter(&arguments.filter);
    filter.statuses = if arguments.status.is_empty() {
        vec![Status::Open, Status::Replaying]
    } else {
        arguments.status.clone()
    };
    let limit = arguments.limit.get();
    let events = store.list(&filter, limit).await.map_err(told(config))?;
    if arguments.json {
        let events: Vec<Value> = events.iter().map(json::event).collect();
        return say_json(&json!({"events": events}));
    }
    if events.is_empty() {
        say("no failed event of this kind");
        return Ok(());
    }
    say(text::table(&events));
    if events.len() == limit as usize {
        say(format!("… these are the last {limit}; --limit shows more"));
    }
    Ok(())
}
