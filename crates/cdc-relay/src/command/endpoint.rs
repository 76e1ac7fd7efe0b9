//! `cdc-relay endpoint`: webhook endpoints, for people.

mod attempts;
mod change;
mod deliveries;
mod list;
mod remove;

use std::path::Path;
use std::time::Duration;

use notifier::{EndpointId, Endpoints, Limits, Missed, NewEndpoint, Subscription};
use webhook::Secret;

use crate::cli::{Endpoint, EndpointAction, EndpointAdd, EndpointTest};
use crate::command::recover::{events, time};
use crate::config::Config;
use crate::error_code::ErrorCode;
use crate::failure::Failure;
use crate::role::notify;
use crate::terminal::say;

/// For one statement.
const STATEMENT_LIMIT: Duration = Duration::from_secs(30);

/// Does what the subcommand says.
pub(super) async fn run(arguments: &Endpoint, config: &Config) -> Result<(), Failure> {
    let told = |error| Failure::from_notifier(error, config);
    let store = config.at_store().postgres.options();
    let endpoints = || endpoints(config);
    match &arguments.action {
        EndpointAction::Add(arguments) => add(arguments, endpoints()?, config).await,
        EndpointAction::Change(arguments) => change::run(arguments, endpoints()?, config).await,
        EndpointAction::Remove(arguments) => remove::run(arguments, endpoints()?, config).await,
        EndpointAction::List(arguments) => list::run(arguments, endpoints()?, config).await,
        EndpointAction::Test(arguments) => Box::pin(test(arguments, endpoints()?, config)).await,
        EndpointAction::Enable(arguments) => {
            let missed = endpoints()?.enable(&arguments.id).await.map_err(told)?;
            say(format!("{} is enabled", arguments.id));
            say_missed(&arguments.id, missed);
            Ok(())
        }
        EndpointAction::Disable(arguments) => {
            endpoints()?
                .disable(&arguments.id, &arguments.reason)
                .await
                .map_err(told)?;
            say(format!("{} is disabled", arguments.id));
            Ok(())
        }
        EndpointAction::RotateSecret(arguments) => {
            let secret = arguments
                .secret_file
                .as_deref()
                .map(secret_of)
                .transpose()?;
            let mut endpoints = endpoints()?;
            let rotated = endpoints.rotate_secret(&arguments.id, secret, arguments.overlap);
            let secret = rotated.await.map_err(told)?;
            say(secret
                .public_key()
                .as_deref()
                .unwrap_or_else(|| secret.expose()));
            Ok(())
        }
        EndpointAction::Deliveries(arguments) => deliveries::list(arguments, &store, config).await,
        EndpointAction::Attempts(arguments) => attempts::list(arguments, &store, config).await,
        EndpointAction::Resolve(arguments) => deliveries::resolve(arguments, &store, config).await,
    }
}

/// The endpoints that the configuration has.
///
/// # Errors
///
/// They cannot be sent to as it says.
pub(super) fn endpoints(config: &Config) -> Result<Endpoints, Failure> {
    let keys = config.notify.secret_keys();
    let keys = keys.map_err(|error| {
        Failure::internal("`notify.secret_keys` cannot be used").caused_by(error)
    })?;
    Ok(Endpoints::new(
        &config.at_store().postgres.options(),
        notify::client(config)?,
        keys,
        STATEMENT_LIMIT,
    ))
}

/// Says what an endpoint that was enabled did not get, and what to type.
fn say_missed(id: &EndpointId, missed: Missed) {
    let events = |count| events(usize::try_from(count).unwrap_or(usize::MAX));
    if missed.while_disabled > 0 {
        say(format!(
            "it missed {} while it was disabled; this sends what it missed, to it alone:\n  \
             cdc-relay recover replay --missed --endpoint {id}",
            events(missed.while_disabled)
        ));
    }
    if let (Some(since), 1..) = (missed.since, missed.failed) {
        say(format!(
            "{} failed since {}; this sends again what is given up:\n  \
             cdc-relay recover replay --endpoint {id}",
            events(missed.failed),
            time(since),
        ));
    }
}

async fn add(
    arguments: &EndpointAdd,
    mut endpoints: Endpoints,
    config: &Config,
) -> Result<(), Failure> {
    let template = arguments.template_file.as_deref().map(read).transpose()?;
    let secret = arguments
        .secret_file
        .as_deref()
        .map(secret_of)
        .transpose()?;
    let subscriptions = if arguments.no_subscription {
        Vec::new()
    } else {
        subscriptions(arguments.subject.as_ref(), &arguments.types)
    };
    let new = NewEndpoint {
        id: arguments.id.clone(),
        url: arguments.url.clone(),
        format: arguments.format.clone(),
        template,
        secret,
        guarantee: arguments.guarantee,
        limits: Limits {
            max_concurrency: arguments.max_concurrency,
            rate_per_second: arguments.rate,
            ordered: arguments.ordered,
        },
        subscriptions,
    };
    let secret = endpoints
        .add(new)
        .await
        .map_err(|error| Failure::from_notifier(error, config))?;
    // Whoever has a key pair gives out the public half.
    say(secret
        .public_key()
        .as_deref()
        .unwrap_or_else(|| secret.expose()));
    Ok(())
}

/// What an endpoint gets whose subject and types are these; without any of them it is everything.
fn subscriptions(subject: Option<&String>, types: &[String]) -> Vec<Subscription> {
    let subscription = |event_type: Option<&String>| Subscription {
        subject: subject.cloned(),
        event_type: event_type.cloned(),
    };
    match types {
        [] => vec![subscription(None)],
        types => types.iter().map(|name| subscription(Some(name))).collect(),
    }
}

async fn test(
    arguments: &EndpointTest,
    mut endpoints: Endpoints,
    config: &Config,
) -> Result<(), Failure> {
    let tested = endpoints.test(&arguments.id).await;
    let result = tested.map_err(|error| Failure::from_notifier(error, config))?;
    if arguments.json {
        super::recover::say_json(&serde_json::json!({
            "id": result.id,
            "delivered": result.delivered,
            "status": result.status,
            "code": result.code,
            "answer": result.text,
            "milliseconds": u64::try_from(result.duration.as_millis()).unwrap_or(u64::MAX),
        }))?;
    } else {
        let status = result
            .status
            .map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        say(format!(
            "{status} ({}) in {:.0?}, webhook-id {}",
            result.code, result.duration, result.id
        ));
        if !result.text.is_empty() {
            say(&result.text);
        }
    }
    if result.delivered {
        return Ok(());
    }
    Err(Failure::new(
        ErrorCode::Endpoint,
        format!(
            "the endpoint {} did not take the test message: {}",
            arguments.id, result.code
        ),
        "see its answer; `cdc-relay endpoint list` shows its URL and format",
    ))
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        let what = format!("cannot read the file {}", path.display());
        Failure::new(
            ErrorCode::Argument,
            what,
            "check the path, and who may read it",
        )
        .caused_by(error)
    })
}

fn secret_of(path: &Path) -> Result<Secret, Failure> {
    Secret::parse(read(path)?.trim()).map_err(|error| {
        let what = format!("the file {} has no secret in it", path.display());
        let remedy =
            "it must hold whsec_ and base64 of 24 to 64 bytes, or whsk_ and an ed25519 key";
        Failure::new(ErrorCode::Argument, what, remedy).caused_by(error)
    })
}
