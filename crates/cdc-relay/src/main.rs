//! Streams a PostgreSQL transactional outbox from the write-ahead log into Kafka.

mod admin;
mod allocator;
mod cli;
mod command;
mod complaints;
mod config;
mod database;
mod diagnosis;
mod error_code;
mod exit;
mod failure;
mod metric;
mod migrations;
mod relay;
mod relay_state;
mod retention;
mod role;
mod shard;
mod signals;
mod store_counts;
mod telemetry;
mod terminal;

use std::io;
use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::terminal::Style;

/// Questions to Kafka that nobody waits for any more block their threads; they may not keep the process.
const LAST_CALLS: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => return usage_status(&usage),
    };
    telemetry::start(cli.global.log_format, &cli.command);
    // A panic has been reported by its hook when it arrives here.
    let Ok(ended) = catch_unwind(|| run(&cli)) else {
        return Exit::Bug.into();
    };
    match ended {
        Ok(()) => Exit::Success.into(),
        Err(failure) => {
            // Nobody is left to be told when standard error is gone.
            drop(failure.report(&mut io::stderr(), Style::of_stderr()));
            failure.exit().into()
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    // One thread: the task that owns the wire then drives its own I/O. With several, each wake-up crosses
    // threads, which cost a quarter of all CPU time; Kafka's work is on librdkafka's threads anyway.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal("the runtime cannot be started").caused_by(error))?;
    let ended = runtime.block_on(command::run(&cli.command, &cli.global));
    runtime.shutdown_timeout(LAST_CALLS);
    ended
}

/// Prints clap's message; help and version are not mistakes.
fn usage_status(usage: &clap::Error) -> ExitCode {
    // Nobody is left to be told when the terminal is gone.
    drop(usage.print());
    if usage.use_stderr() {
        Exit::Usage.into()
    } else {
        Exit::Success.into()
    }
}
