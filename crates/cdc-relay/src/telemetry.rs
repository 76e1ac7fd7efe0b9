//! Logging: to standard error, as text or JSON.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::cli::{Command, LogFormat, Recover, RecoverAction};
use crate::terminal::Style;

/// Of `relay`, whose log is what one sees of it.
const SERVICE_LEVEL: &str = "info";
/// Of the other commands, which print what they have to say; what librdkafka says while it retries is noise then.
const COMMAND_LEVEL: &str = "warn,librdkafka=error";

/// Starts logging for the whole process, at the level of `CDC_LOG`, `RUST_LOG`, or `command`. A level that cannot
/// be read is reported and the command's used; a second call changes nothing.
pub(crate) fn start(format: LogFormat, command: &Command) {
    let level = match command {
        Command::Relay(_)
        | Command::Notify
        | Command::Run
        | Command::Reshard(_)
        | Command::Recover(Recover {
            action: RecoverAction::Run,
        }) => SERVICE_LEVEL,
        Command::Init(_)
        | Command::Doctor(_)
        | Command::Status(_)
        | Command::Recover(_)
        | Command::Endpoint(_)
        | Command::Config
        | Command::Explain(_) => COMMAND_LEVEL,
    };
    let (filter, refused) = filter(level);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    let started = match format {
        LogFormat::Text => builder
            .with_target(false)
            .with_ansi(Style::of_stderr().is_fancy())
            .try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let (Ok(()), Some(error)) = (started, refused) {
        tracing::warn!(%error, "CDC_LOG or RUST_LOG cannot be read; the level is {level}");
    }
}

fn filter(default: &str) -> (EnvFilter, Option<String>) {
    let wanted = ["CDC_LOG", "RUST_LOG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
    match wanted.map(EnvFilter::try_new) {
        None => (EnvFilter::new(default), None),
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (EnvFilter::new(default), Some(error.to_string())),
    }
}
