//! The command line.

mod after;
mod endpoint;
mod recover;

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::shard::Shards;

pub(crate) use after::After;
pub(crate) use endpoint::{
    Endpoint, EndpointAction, EndpointAdd, EndpointAttempts, EndpointChange, EndpointDeliveries,
    EndpointList, EndpointRemove, EndpointResolve, EndpointTest,
};
pub(crate) use recover::{
    FilterArguments, Rate, Recover, RecoverAction, RecoverDiscard, RecoverList, RecoverReplay,
    RecoverShow, RecoverStats, Selection,
};

/// Streams a PostgreSQL transactional outbox from the write-ahead log into Kafka, and from there to webhooks.
#[derive(Debug, Parser)]
#[command(
    name = "cdc-relay",
    version,
    max_term_width = 100,
    after_help = "Example:\n  export CDC_POSTGRES__URL=postgres://relay@localhost/app\n  \
                  cdc-relay init && cdc-relay relay\n\n\
                  Exit status: 0 done or stopped cleanly, 64 bad configuration or usage, \
                  69 a dependency refuses for good, 70 a bug.\n\
                  Log level: CDC_LOG or RUST_LOG, for example CDC_LOG=debug."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Configuration file (TOML). Without it, defaults and environment variables only.
    #[arg(long, global = true, value_name = "FILE", env = "CDC_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Form of the log on standard error.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "text",
        env = "CDC_LOG_FORMAT"
    )]
    pub(crate) log_format: LogFormat,
    /// Overrides one setting, for example `--set relay.slot=orders`. Other users of this machine can see it:
    /// give secrets in the file or the environment.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<Assignment>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One readable line an event.
    Text,
    /// One JSON object an event.
    Json,
}

/// A setting from the command line.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Assignment {
    /// The full key, such as `relay.slot`.
    pub(crate) key: String,
    /// The value as written.
    pub(crate) value: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prepares the database: schema cdc, outbox table, publication, replication slot.
    #[command(
        after_help = "Needs the owner of the tables and a role with REPLICATION. What is already there is \
                            left alone.\n\nExamples:\n  cdc-relay --config relay.toml init --dry-run\n  \
                            cdc-relay --config relay.toml init"
    )]
    Init(Init),
    /// Checks server settings, privileges, slot, publication and Kafka; says what to do about each finding.
    #[command(
        after_help = "Exit status: 0, or 69 with at least one failure.\n\nExamples:\n  cdc-relay doctor\n  \
                            cdc-relay doctor --json | jq '.findings[] | select(.status != \"ok\")'"
    )]
    Doctor(Doctor),
    /// Streams the outbox into Kafka until it is told to stop.
    #[command(
        after_help = "SIGTERM or Ctrl-C drains, confirms and exits; a second one exits at once.\n\n\
                            Example:\n  cdc-relay --config relay.toml --log-format json relay"
    )]
    Relay(Relay),
    /// Changes the number of slots that share the outbox, without loss or duplicates; the relays must be stopped.
    #[command(
        after_help = "Run it with `relay.shards` still at the old number, and set the new one when it has ended. If it \
                            is interrupted, run it again: it goes on.\n\n\
                            Example:\n  cdc-relay --config relay.toml reshard --to 2"
    )]
    Reshard(Reshard),
    /// Shows the slot, the lag, and what a running relay says of itself.
    #[command(
        after_help = "Examples:\n  cdc-relay status\n  cdc-relay status --json\n  \
                            cdc-relay status --probe   # for a container's health check"
    )]
    Status(Status),
    /// Does everything that the configuration names in one process: relay, notify and recover run.
    #[command(
        after_help = "The relay always; the notifier if `notify.topics` names topics; the collector of dead letters if \
                            there is a consumer group to collect from.\n\n\
                            Example:\n  cdc-relay --config relay.toml run"
    )]
    Run,
    /// Sends events to webhook endpoints until it is told to stop.
    #[command(
        after_help = "It reads `notify.topics` and tells the endpoints that subscribed, each once. What fails is tried \
                            again as [[recover.consumer]] says, and then a dead letter: run `recover run` beside it.\n\n\
                            Example:\n  cdc-relay --config relay.toml --log-format json notify"
    )]
    Notify,
    /// Adds, lists, changes, tests, enables, disables and removes webhook endpoints.
    #[command(
        after_help = "Endpoints are in the table cdc.endpoint of `postgres.store_url`; a running notifier knows of a \
                            change within seconds.\n\n\
                            Examples:\n  cdc-relay endpoint add billing --url https://billing.example/hook\n  \
                            cdc-relay endpoint test billing"
    )]
    Endpoint(Endpoint),
    /// Deals with events that could not be delivered: lists, shows, replays and discards them.
    #[command(
        after_help = "The events are in the table cdc.failed_event of `postgres.store_url`.\n\n\
                            Examples:\n  cdc-relay recover stats\n  \
                            cdc-relay recover replay --code CDC0044 --dry-run"
    )]
    Recover(Recover),
    /// Prints the effective configuration and where each value came from; secrets are masked.
    #[command(
        after_help = "Example:\n  CDC_RELAY__SLOT=orders cdc-relay --config relay.toml config"
    )]
    Config,
    /// Explains an error code; without one, lists all of them.
    #[command(after_help = "Example:\n  cdc-relay explain CDC0021")]
    Explain(Explain),
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Prints the SQL and the topics, and changes nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Arguments of `relay`.
#[derive(Debug, Args)]
pub(crate) struct Relay {
    /// Relays only this one of `relay.shards`, from 0: each in a process of its own. Without it, one process relays all.
    #[arg(long, value_name = "I")]
    pub(crate) shard: Option<u8>,
}

/// Arguments of `reshard`.
#[derive(Debug, Args)]
pub(crate) struct Reshard {
    /// The new number of shards, 1 to 16.
    #[arg(long, value_name = "M")]
    pub(crate) to: Shards,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Prints the findings as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Asks only the running relay whether it is healthy: exit status 0, or 69.
    #[arg(long)]
    pub(crate) probe: bool,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// An error code such as CDC0001.
    pub(crate) code: Option<String>,
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((key, value)) if key.contains('.') => Ok(Self {
                key: key.trim().to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("expected section.key=value, for example relay.slot=orders".to_owned()),
        }
    }
}

impl std::fmt::Debug for Assignment {
    /// Leaves out the value, which may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}=…", self.key)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        fn check(command: &clap::Command) {
            for command in command.get_subcommands() {
                let help = command.get_after_help().map(ToString::to_string);
                assert!(
                    help.unwrap_or_default().contains("Example"),
                    "{}",
                    command.get_name()
                );
                check(command);
            }
        }
        check(&Cli::command());
    }
}
