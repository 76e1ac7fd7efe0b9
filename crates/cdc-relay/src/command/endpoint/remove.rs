//! `cdc-relay endpoint remove`.

use cdc_store::{FailedEvents, Filter};
use notifier::{EndpointId, Endpoints, RemovedEndpoint, Undelivered};
use serde_json::json;

use crate::cli::EndpointRemove;
use crate::command::recover::say_json;
use crate::config::Config;
use crate::error_code::ErrorCode;
use crate::failure::Failure;
use crate::terminal::say;

pub(super) async fn run(
    arguments: &EndpointRemove,
    mut endpoints: Endpoints,
    config: &Config,
) -> Result<(), Failure> {
    let id = &arguments.id;
    let told = |error| Failure::from_notifier(error, config);
    let undelivered = endpoints.undelivered(id).await.map_err(told)?;
    let open = open_failures(id, config).await?;
    let lost = lost(&undelivered, open);
    if let (Some(lost), false) = (&lost, arguments.yes) {
        return Err(Failure::new(
            ErrorCode::Endpoint,
            format!("the endpoint {id} has not got all of its events: {lost}"),
            format!(
                "`cdc-relay endpoint deliveries --endpoint {id} --state …` and `cdc-relay recover list --endpoint {id}` \
                 list them; `cdc-relay endpoint remove {id} --yes` gives them up"
            ),
        ));
    }
    let removed = endpoints.remove(id).await.map_err(told)?;
    if arguments.json {
        return say_json(&json!({
            "id": id.as_str(),
            "subscriptions": removed.subscriptions,
            "foreign_subscriptions": removed.foreign_subscriptions,
            "undelivered": {
                "retrying": undelivered.retrying,
                "failed": undelivered.failed,
                "missed": undelivered.missed,
                "unknown": undelivered.unknown,
            },
            "open_failures": open,
        }));
    }
    say_removed(id, &removed);
    if let Some(lost) = lost {
        say(format!("it does not get what it has not got: {lost}"));
    }
    say_left(id, &undelivered, open, config);
    Ok(())
}

/// How many failed events wait for somebody to replay them to this endpoint.
async fn open_failures(id: &EndpointId, config: &Config) -> Result<usize, Failure> {
    let told = |error| Failure::from_store(error, config);
    let filter = Filter {
        group: Some(config.notify.group.clone()),
        part: Some(id.to_string()),
        ..Filter::default()
    };
    let options = config.at_store().postgres.options();
    let mut store = FailedEvents::connect(&options).await.map_err(told)?;
    let open = store.select(&filter, u32::MAX).await.map_err(told)?;
    Ok(open.len())
}

/// What goes with the endpoint, if there is any.
fn lost(undelivered: &Undelivered, open: usize) -> Option<String> {
    let deliveries = [
        (undelivered.retrying, "to be tried again or given up"),
        (undelivered.failed, "refused"),
        (undelivered.missed, "missed while it was disabled"),
        (undelivered.unknown, "in doubt"),
    ];
    let mut parts: Vec<String> = deliveries
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if open > 0 {
        parts.push(format!("{open} open as failed events"));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn say_removed(id: &EndpointId, removed: &RemovedEndpoint) {
    match removed.subscriptions {
        0 => say(format!("{id} is removed")),
        1 => say(format!("{id} is removed, with its subscription")),
        many => say(format!("{id} is removed, with its {many} subscriptions")),
    }
    if removed.foreign_subscriptions > 0 {
        say(format!(
            "cdc.subscription is the application's, and still names it: {} times",
            removed.foreign_subscriptions
        ));
    }
}

/// What nobody but an operator ends.
fn say_left(id: &EndpointId, undelivered: &Undelivered, open: usize, config: &Config) {
    if open > 0 {
        let group = &config.notify.group;
        say(format!(
            "a replay of its failed events reaches nobody any more; to give them up:\n  \
             cdc-relay recover discard --group {group} --endpoint {id}"
        ));
    }
    if undelivered.unknown > 0 {
        say(format!(
            "what is in doubt is remembered until it is settled with `cdc-relay endpoint resolve`:\n  \
             cdc-relay endpoint deliveries --endpoint {id} --state unknown"
        ));
    }
}
