//! `cdc-relay endpoint deliveries` and `resolve`.

use notifier::{Deliveries, Delivery, Resolution};
use pg_replication::ConnectOptions;
use serde_json::{Value, json};

use super::STATEMENT_LIMIT;
use crate::cli::{After, EndpointDeliveries, EndpointResolve};
use crate::command::page::Page;
use crate::command::recover::{aligned, say_json, time};
use crate::config::Config;
use crate::error_code::ErrorCode;
use crate::failure::Failure;
use crate::terminal::say;

pub(super) async fn list(
    arguments: &EndpointDeliveries,
    store: &ConnectOptions,
    config: &Config,
) -> Result<(), Failure> {
    let mut deliveries = Deliveries::new(store, STATEMENT_LIMIT);
    let (limit, after) = (arguments.limit, arguments.after.as_ref());
    let found = deliveries
        .in_trouble(
            arguments.state,
            arguments.endpoint.as_ref(),
            after.map(|after| &after.0),
            limit + 1,
        )
        .await;
    let found = found.map_err(|error| Failure::from_notifier(error, config))?;
    let page = Page::of(found, limit, |last| After(last.place()).to_string());
    if arguments.json {
        let deliveries: Vec<_> = page.rows.iter().map(as_json).collect();
        return say_json(&json!({ "deliveries": deliveries, "next": page.next }));
    }
    if page.rows.is_empty() {
        say(format!(
            "there are no deliveries of state {}",
            arguments.state
        ));
        return Ok(());
    }
    let mut rows = vec![
        [
            "EVENT", "ENDPOINT", "STATE", "SINCE", "STATUS", "CODE", "RECORD",
        ]
        .map(str::to_owned),
    ];
    rows.extend(page.rows.iter().map(|delivery| {
        [
            delivery.event_id.clone(),
            delivery.endpoint.to_string(),
            delivery.state.to_string(),
            time(delivery.changed_at),
            delivery
                .status
                .map_or("-".to_owned(), |status| status.to_string()),
            delivery.code.clone().unwrap_or_else(|| "-".to_owned()),
            delivery.origin.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    }));
    say(aligned(&rows));
    page.say_next();
    Ok(())
}

fn as_json(delivery: &Delivery) -> Value {
    json!({
        "event_id": delivery.event_id,
        "endpoint": delivery.endpoint.as_str(),
        "state": delivery.state.to_string(),
        "status": delivery.status,
        "code": delivery.code,
        "excerpt": delivery.excerpt,
        "record": delivery.origin,
        "created_at": time(delivery.created_at),
        "changed_at": time(delivery.changed_at),
    })
}

pub(super) async fn resolve(
    arguments: &EndpointResolve,
    store: &ConnectOptions,
    config: &Config,
) -> Result<(), Failure> {
    let EndpointResolve {
        event, id, arrived, ..
    } = arguments;
    let resolution = if *arrived {
        Resolution::Arrived
    } else {
        Resolution::SendAgain
    };
    let mut deliveries = Deliveries::new(store, STATEMENT_LIMIT);
    let resolved = deliveries.resolve(event, id, resolution).await;
    if resolved.map_err(|error| Failure::from_notifier(error, config))? {
        say(format!("settled: {event} for {id}"));
        return Ok(());
    }
    Err(Failure::new(
        ErrorCode::Endpoint,
        format!("there is no doubt about the event {event} for the endpoint {id}"),
        "`cdc-relay endpoint deliveries --state unknown` lists those that are in doubt",
    ))
}
