//! The commands, one file each.

mod amount;
mod config;
mod doctor;
mod endpoint;
mod explain;
mod init;
mod notify;
mod page;
mod recover;
pub(crate) mod relay;
mod reshard;
mod run;
mod serving;
mod status;

use std::future::Future;

use tokio_util::sync::CancellationToken;

use crate::cli::{Command, Global};
use crate::config::{Config, Layers};
use crate::failure::{Context, Failure};
use crate::signals;

/// Runs `command` to its end; `relay` ends at a signal.
///
/// # Errors
///
/// Whatever ends the command early, with what to do about it.
pub(crate) async fn run(command: &Command, global: &Global) -> Result<(), Failure> {
    match command {
        Command::Explain(arguments) => explain::run(arguments),
        Command::Config => config::run(&layers(global)?),
        Command::Init(arguments) => init::run(arguments, &usable(global)?).await,
        Command::Doctor(arguments) => doctor::run(arguments, &usable(global)?).await,
        Command::Status(arguments) => status::run(arguments, &usable(global)?).await,
        Command::Recover(arguments) => recover::run(arguments, &usable(global)?).await,
        Command::Reshard(arguments) => reshard::run(arguments, &usable(global)?).await,
        Command::Endpoint(arguments) => Box::pin(endpoint::run(arguments, &usable(global)?)).await,
        Command::Relay(arguments) => {
            let config = usable(global)?;
            until_signalled(|shutdown| relay::run(arguments, config, shutdown)).await
        }
        Command::Run => {
            let config = usable(global)?;
            until_signalled(|shutdown| run::run(config, shutdown)).await
        }
        Command::Notify => {
            let config = usable(global)?;
            until_signalled(|shutdown| async move { notify::run(&config, shutdown).await }).await
        }
    }
}

/// Runs work that ends when it is told to; a signal tells it.
async fn until_signalled<F>(work: impl FnOnce(CancellationToken) -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let shutdown = CancellationToken::new();
    tokio::select! {
        done = Box::pin(work(shutdown.clone())) => done,
        failed = signals::watch(shutdown.clone()) => failed.map(|never| match never {}),
    }
}

/// A configuration that can be used, as far as can be said without a server.
fn usable(global: &Global) -> Result<Config, Failure> {
    let config = Config::from_layers(&layers(global)?)?;
    config
        .kafka
        .options()
        .validate()
        .map_err(|error| Failure::from_kafka(error, Context::new(&config, "configure Kafka")))?;
    Ok(config)
}

fn layers(global: &Global) -> Result<Layers, Failure> {
    // A value that is not UTF-8 is refused later, by what it is for, rather than ignored here.
    let environment = std::env::vars_os().map(|(name, value)| {
        (
            name.to_string_lossy().into_owned(),
            value.to_string_lossy().into_owned(),
        )
    });
    Layers::read(global.config.as_deref(), environment, &global.set)
}
