//! `cdc-relay endpoint change`.

use notifier::{ChangedEndpoint, EndpointInfo, Endpoints, Subscription};
use serde_json::{Map, Value, json};

use super::list::shortened;
use super::{read, subscriptions};
use crate::cli::EndpointChange;
use crate::command::recover::say_json;
use crate::config::Config;
use crate::error_code::ErrorCode;
use crate::failure::Failure;
use crate::terminal::say;

/// Subscriptions that are shown to people: an application may have one for each of its users.
const SHOWN: usize = 5;

/// Something that is another now: its name as `endpoint list --json` has it, what it was, and what it is.
type Difference = (&'static str, Value, Value);

pub(super) async fn run(
    arguments: &EndpointChange,
    mut endpoints: Endpoints,
    config: &Config,
) -> Result<(), Failure> {
    let change = wanted(arguments)?;
    let changed = endpoints
        .change(&arguments.id, &change)
        .await
        .map_err(|error| Failure::from_notifier(error, config))?;
    let differences = differences(&changed, change.subscriptions.as_deref());
    if arguments.json {
        let differences: Map<_, _> = differences
            .into_iter()
            .map(|(name, from, to)| (name.to_owned(), json!({ "from": from, "to": to })))
            .collect();
        return say_json(&json!({ "id": arguments.id.as_str(), "changed": differences }));
    }
    if differences.is_empty() {
        say(format!("{} is like that already", arguments.id));
        return Ok(());
    }
    say(format!("{} is changed", arguments.id));
    for (name, from, to) in &differences {
        say(format!("  {name}: {} → {}", text(from), text(to)));
    }
    Ok(())
}

/// What the arguments say.
fn wanted(arguments: &EndpointChange) -> Result<notifier::EndpointChange, Failure> {
    let EndpointChange {
        id,
        url,
        format,
        template_file,
        guarantee,
        max_concurrency,
        rate,
        no_rate,
        ordered,
        no_ordered,
        subject,
        types,
        every_event,
        no_subscription,
        json: _,
    } = arguments;
    let resubscribed = *every_event || subject.is_some() || !types.is_empty();
    let limited =
        max_concurrency.is_some() || rate.is_some() || *no_rate || *ordered || *no_ordered;
    let sent = url.is_some() || format.is_some() || template_file.is_some() || guarantee.is_some();
    if !(sent || limited || resubscribed || *no_subscription) {
        return Err(Failure::new(
            ErrorCode::Argument,
            format!("it was not said what to change of the endpoint {id}"),
            "give what is to be another, such as --url; `cdc-relay endpoint change --help` lists it all",
        ));
    }
    Ok(notifier::EndpointChange {
        url: url.clone(),
        format: format.clone(),
        template: template_file.as_deref().map(read).transpose()?,
        guarantee: *guarantee,
        max_concurrency: *max_concurrency,
        rate_per_second: (*no_rate || rate.is_some()).then_some(*rate),
        ordered: (*ordered || *no_ordered).then_some(*ordered),
        subscriptions: if *no_subscription {
            Some(Vec::new())
        } else {
            resubscribed.then(|| subscriptions(subject.as_ref(), types))
        },
    })
}

fn differences(changed: &ChangedEndpoint, subscribed: Option<&[Subscription]>) -> Vec<Difference> {
    let (before, after) = (&changed.before, &changed.after);
    let mut all = Vec::new();
    // What is shown of two URLs, or of two templates, may be the same.
    if before.url != after.url {
        all.push((
            "url",
            json!(shortened(&before.url)),
            json!(shortened(&after.url)),
        ));
    }
    if before.template != after.template {
        all.push(("template", template(before), template(after)));
    }
    let (old, new) = (&before.limits, &after.limits);
    let values = [
        ("format", json!(before.format), json!(after.format)),
        (
            "guarantee",
            json!(before.guarantee.as_str()),
            json!(after.guarantee.as_str()),
        ),
        (
            "max_concurrency",
            json!(old.max_concurrency),
            json!(new.max_concurrency),
        ),
        (
            "rate_per_second",
            json!(old.rate_per_second),
            json!(new.rate_per_second),
        ),
        ("ordered", json!(old.ordered), json!(new.ordered)),
    ];
    all.extend(values.into_iter().filter(|(_, from, to)| from != to));
    if let (Some(from), Some(to)) = (&changed.subscribed_before, subscribed) {
        let (from, to) = (in_order(from), in_order(to));
        if from != to {
            all.push(("subscriptions", listed(&from), listed(&to)));
        }
    }
    all
}

fn template(endpoint: &EndpointInfo) -> Value {
    let template = endpoint.template.as_ref();
    json!(template.map(|text| format!("{} bytes", text.len())))
}

/// Each once.
fn in_order(subscriptions: &[Subscription]) -> Vec<(Option<&str>, Option<&str>)> {
    let each = subscriptions.iter();
    let mut all: Vec<_> = each
        .map(|one| (one.subject.as_deref(), one.event_type.as_deref()))
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn listed(subscriptions: &[(Option<&str>, Option<&str>)]) -> Value {
    let each = subscriptions.iter();
    each.map(|(subject, event_type)| json!({ "subject": subject, "type": event_type }))
        .collect()
}

/// A value for people.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(subscriptions) if subscriptions.is_empty() => "no event".to_owned(),
        Value::Array(subscriptions) => {
            let mut shown: Vec<_> = subscriptions.iter().take(SHOWN).map(subscription).collect();
            if let Some(more) = subscriptions.len().checked_sub(SHOWN + 1) {
                shown.push(format!("{} more", more + 1));
            }
            shown.join(", ")
        }
        other => other.to_string(),
    }
}

fn subscription(one: &Value) -> String {
    match (one["subject"].as_str(), one["type"].as_str()) {
        (None, None) => "every event".to_owned(),
        (None, Some(event_type)) => event_type.to_owned(),
        (Some(subject), None) => format!("every event of {subject}"),
        (Some(subject), Some(event_type)) => format!("{event_type} of {subject}"),
    }
}
