//! Signals: the first asks for an orderly stop, the second ends the process at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// What a shell reports for a process that a signal ended: 128 and the signal's number.
const KILLED_BY: i32 = 128;

/// Waits for the first SIGTERM or SIGINT. Until it is called, and for commands that never call it, a signal ends
/// the process at once.
///
/// # Errors
///
/// Signals cannot be received at all.
pub(crate) async fn first() -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(deaf)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(deaf)?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

/// Cancels `shutdown` at the first SIGTERM or SIGINT. At the second one the process exits without draining; the
/// slot keeps what was not confirmed. Never returns; run it beside the work.
///
/// # Errors
///
/// Signals cannot be received at all.
#[expect(
    clippy::disallowed_methods,
    reason = "the second signal asks for exactly this: no destructors, no flushing"
)]
pub(crate) async fn watch(
    shutdown: CancellationToken,
) -> Result<std::convert::Infallible, Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(deaf)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(deaf)?;
    loop {
        let received = tokio::select! {
            _ = terminate.recv() => SignalKind::terminate(),
            _ = interrupt.recv() => SignalKind::interrupt(),
        };
        if shutdown.is_cancelled() {
            tracing::warn!("second signal: leaving at once");
            std::process::exit(KILLED_BY + received.as_raw_value());
        }
        tracing::info!("stopping; a second signal leaves at once");
        shutdown.cancel();
    }
}

fn deaf(error: std::io::Error) -> Failure {
    Failure::internal("signals cannot be received").caused_by(error)
}
