//! The commands, one file each.

mod config;
mod doctor;
mod explain;
mod init;
pub(crate) mod relay;
mod status;

use tokio_util::sync::CancellationToken;

use crate::cli::{Command, Global};
use crate::config::{Config, Layers};
use crate::failure::Failure;
use crate::signals;

/// Runs `command` to its end; `relay` ends at a signal.
///
/// # Errors
///
/// Whatever ends the command early, with what to do about it.
pub(crate) async fn run(command: Command, global: &Global) -> Result<(), Failure> {
    match command {
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Config => config::run(&layers(global)?),
        Command::Init(arguments) => init::run(&arguments, &usable(global)?).await,
        Command::Doctor(arguments) => doctor::run(&arguments, &usable(global)?).await,
        Command::Status(arguments) => status::run(&arguments, &usable(global)?).await,
        Command::Relay => {
            let config = usable(global)?;
            let shutdown = CancellationToken::new();
            tokio::select! {
                done = relay::run(config, shutdown.clone()) => done,
                failed = signals::watch(shutdown) => failed.map(|never| match never {}),
            }
        }
    }
}

fn usable(global: &Global) -> Result<Config, Failure> {
    Config::from_layers(&layers(global)?)
}

fn layers(global: &Global) -> Result<Layers, Failure> {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Layers::read(global.config.as_deref(), environment, &global.set)
}
