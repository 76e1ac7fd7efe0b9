//! Logging: to standard error, as text or JSON.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;
use crate::terminal::Style;

/// Without `CDC_LOG` and `RUST_LOG`.
const DEFAULT_LEVEL: &str = "info,refinery_core=warn";

/// Starts logging for the whole process. A level that cannot be read is reported and the default used; a second
/// call changes nothing.
pub(crate) fn start(format: LogFormat) {
    let (filter, refused) = filter();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match format {
        LogFormat::Text => {
            builder.with_target(false).with_ansi(Style::of_stderr().is_fancy()).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let (Ok(()), Some(error)) = (started, refused) {
        tracing::warn!(%error, "CDC_LOG or RUST_LOG cannot be read; the level is {DEFAULT_LEVEL}");
    }
}

fn filter() -> (EnvFilter, Option<String>) {
    let wanted = ["CDC_LOG", "RUST_LOG"].into_iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
    match wanted.map(EnvFilter::try_new) {
        None => (EnvFilter::new(DEFAULT_LEVEL), None),
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (EnvFilter::new(DEFAULT_LEVEL), Some(error.to_string())),
    }
}
