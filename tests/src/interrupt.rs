//! Ctrl-C in the programs of this package.

use std::process::ExitCode;

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

/// What a shell expects of a program that an interrupt has ended.
const INTERRUPTED: u8 = 130;

/// Runs `work` to its end, or drops it at SIGINT or SIGTERM, so that its guards clean up. Errors go to stderr.
///
/// The exit code is 0 if `work` brought `true`, 130 if it was interrupted, else 1.
#[expect(
    clippy::print_stderr,
    reason = "this is where a program's error is handled"
)]
pub async fn run_until_interrupted(work: impl Future<Output = Result<bool>>) -> ExitCode {
    let ended = tokio::select! {
        ended = work => ended,
        _ = tokio::signal::ctrl_c() => return ExitCode::from(INTERRUPTED),
        () = terminated() => return ExitCode::from(INTERRUPTED),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn terminated() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            terminate.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}
