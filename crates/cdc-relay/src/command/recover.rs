//! `cdc-relay recover`: the operator's side of the store of failed events.

mod discard;
mod hold;
mod json;
mod list;
mod outcome;
mod replay;
mod run;
mod select;
mod show;
mod stats;
mod text;

pub(super) use outcome::events;
pub(super) use text::{aligned, time};

use cdc_store::FailedEvents;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::until_signalled;
use crate::cli::{Recover, RecoverAction};
use crate::config::Config;
use crate::failure::Failure;
use crate::terminal::say;

/// Does what the subcommand says.
pub(super) async fn run(arguments: &Recover, config: &Config) -> Result<(), Failure> {
    if let RecoverAction::Run = arguments.action {
        return until_signalled(|shutdown| run::run(config, shutdown)).await;
    }
    if let RecoverAction::Replay(arguments) = &arguments.action
        && arguments.missed
    {
        let replaying = |shutdown: CancellationToken| async move {
            replay::run_missed(arguments, config, &shutdown).await
        };
        return until_signalled(replaying).await;
    }
    let options = config.at_store().postgres.options();
    let store = FailedEvents::connect(&options)
        .await
        .map_err(|error| Failure::from_store(error, config))?;
    match &arguments.action {
        RecoverAction::List(arguments) => list::run(arguments, store, config).await,
        RecoverAction::Show(arguments) => show::run(arguments, store, config).await,
        RecoverAction::Discard(arguments) => discard::run(arguments, store, config).await,
        RecoverAction::Stats(arguments) => stats::run(arguments, store, config).await,
        RecoverAction::Replay(arguments) => {
            let replaying = |shutdown: CancellationToken| async move {
                replay::run(arguments, store, config, &shutdown).await
            };
            until_signalled(replaying).await
        }
        RecoverAction::Run => Ok(()),
    }
}

/// For `map_err`.
fn told(config: &Config) -> impl Fn(cdc_store::Error) -> Failure {
    |error| Failure::from_store(error, config)
}

pub(super) fn say_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::internal("this cannot be written as JSON").caused_by(error))?;
    say(text);
    Ok(())
}
