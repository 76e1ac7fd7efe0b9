//! `cdc-relay endpoint deliveries` and `resolve`.

use notifier::{Deliveries, Delivery, Resolution};
use pg_replication::ConnectOptions;
use serde_json::{Value, json};

use super::STATEMENT_LIMIT;
use crate::cli::{EndpointDeliveries, EndpointResolve};
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
    let found = deliveries
        .in_trouble(
            arguments.state,
            arguments.endpoint.as_ref(),
            arguments.limit,
        )
        .await;
    let found = found.map_err(|error| Failure::from_notifier(error, config))?;
    if arguments.json {
        let deliveries: Vec<_> = found.iter().map(as_json).collect();
        return say_json(&json!({ "deliveries": deliveries }));
    }
    if found.is_empty() {
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
    rows.extend(found.iter().map(|delivery| {
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
