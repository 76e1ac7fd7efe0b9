//! `cdc-relay recover list`.

use cdc_store::{FailedEvent, FailedEvents, ListPlace, Status};
use serde_json::{Value, json};

use super::{json, say_json, select, text, told};
use crate::cli::{After, RecoverList};
use crate::command::page::Page;
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
    let after = arguments.after.as_ref().map(|after| after.0);
    let events = store.page(&filter, after, limit.saturating_add(1)).await;
    let page = Page::of(events.map_err(told(config))?, limit, place);
    if arguments.json {
        let events: Vec<Value> = page.rows.iter().map(json::event).collect();
        return say_json(&json!({"events": events, "next": page.next}));
    }
    if page.rows.is_empty() {
        say("no failed event of this kind");
        return Ok(());
    }
    say(text::table(&page.rows));
    page.say_next();
    Ok(())
}

fn place(event: &FailedEvent) -> String {
    After(ListPlace {
        last_failed_at: event.last_failed_at,
        id: event.id,
    })
    .to_string()
}
