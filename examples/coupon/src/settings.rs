//! What the service is told, by options or by the environment.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use guarded_producer::{SlotName, TopicTemplate};

/// First-come coupons, with a transactional outbox and a consumer that recovers.
#[derive(Debug, Parser)]
#[command(
    name = "coupon-service",
    version,
    max_term_width = 100,
    after_help = "Example:\n  coupon-service &\n  \
                  curl -d '{\"userId\": 2}' -H 'content-type: application/json' localhost:8084/coupon/apply"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// Asks the service at LISTEN whether it is well, and ends with 0 or 1.
    #[arg(long)]
    pub(crate) probe: bool,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What else there is to do than to serve.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compares Redis with PostgreSQL and completes what a crash has left half done.
    Reconcile,
}

/// The settings of the service.
#[derive(Debug, Clone, Args)]
pub(crate) struct Settings {
    /// The database with the schemas `cdc` and `coupon`.
    #[arg(
        long,
        env,
        hide_env_values = true,
        default_value = "postgres://postgres@localhost/postgres"
    )]
    pub(crate) database_url: SecretUrl,
    #[arg(long, env, default_value = "localhost:9092")]
    pub(crate) kafka_brokers: String,
    #[arg(
        long,
        env,
        hide_env_values = true,
        default_value = "redis://localhost:6379"
    )]
    pub(crate) redis_url: SecretUrl,
    /// What the keys in Redis begin with.
    #[arg(long, env, default_value = "coupon")]
    pub(crate) redis_prefix: String,
    /// Where it serves HTTP.
    #[arg(long, env, default_value = "127.0.0.1:8084")]
    pub(crate) listen: SocketAddr,
    /// How many coupons there are.
    #[arg(long, env, default_value_t = 100, value_parser = clap::value_parser!(i32).range(1..=100_000))]
    pub(crate) coupon_limit: i32,
    /// What a coupon is worth, in percent; 0: not decided yet, `POST /admin/discount` does.
    #[arg(long, env, default_value_t = 10, value_parser = clap::value_parser!(i32).range(0..=100))]
    pub(crate) discount: i32,
    /// How an application becomes an event.
    #[arg(long, env, value_enum, default_value = "outbox")]
    pub(crate) mode: Mode,
    #[command(flatten)]
    pub(crate) relay: RelaySettings,
    #[command(flatten)]
    pub(crate) consumers: ConsumerSettings,
    /// Users with an odd id fail, until `POST /admin/fail-odd` says otherwise.
    #[arg(long, env, default_value = "false", value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set)]
    pub(crate) fail_odd: bool,
    /// The handler of dead letters fails too, until `POST /admin/fail-dlt` says otherwise.
    #[arg(long, env, default_value = "false", value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set)]
    pub(crate) fail_dlt: bool,
    /// For tests: dies in the middle of the next application.
    #[arg(long, env, value_enum)]
    pub(crate) crash_after: Option<Step>,
}

/// What the relay's configuration says, which MODE=guarded needs to know.
#[derive(Debug, Clone, Args)]
pub(crate) struct RelaySettings {
    /// The relay's slot, which shows whether it has delivered what was stored (MODE=guarded).
    #[arg(long, env, default_value = "cdc_relay")]
    pub(crate) relay_slot: SlotName,
    /// The relay's `[outbox] topic`: both ways must lead to the same topic (MODE=guarded).
    #[arg(long, env, default_value = "${routedByValue}")]
    pub(crate) relay_topic: TopicTemplate,
}

/// How the topics are read, and what happens to what fails.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConsumerSettings {
    /// The topic with the requests.
    #[arg(long, env, default_value = "coupon-create")]
    pub(crate) topic: String,
    /// Partitions of the topic, if it has to be made.
    #[arg(long, env, default_value_t = 6, value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) partitions: i32,
    /// The consumer group; that of the dead letters is called the same with `-dlt`.
    #[arg(long, env, default_value = "coupon")]
    pub(crate) group: String,
    /// Who this instance is: one that starts again under its name has its partitions back at once.
    #[arg(long, env)]
    pub(crate) instance_id: Option<String>,
    /// How long a request that failed waits in its place.
    #[arg(long, env, default_value = "1s", value_parser = humantime::parse_duration)]
    pub(crate) retry_delay: Duration,
    /// How often it is tried again there.
    #[arg(long, env, default_value_t = 2)]
    pub(crate) retries: u32,
    /// Delays of retry topics after that, such as `5s,1m`.
    #[arg(long, env, value_delimiter = ',', value_parser = humantime::parse_duration)]
    pub(crate) retry_tiers: Vec<Duration>,
    /// The topic of dead letters.
    #[arg(long, env, default_value = "{topic}.DLT")]
    pub(crate) dead_letter: String,
    /// Dead letters that are handled at the same time.
    #[arg(long, env, default_value = "3")]
    pub(crate) dlt_concurrency: NonZeroUsize,
}

/// How an application becomes an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// With the application in one transaction, by `cdc.emit`.
    Outbox,
    /// After that transaction: sent to Kafka by the service, or stored in the outbox while Kafka takes nothing.
    Guarded,
}

/// What an application has got behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// It holds a ticket, and PostgreSQL knows nothing of it.
    Redis,
    /// It is recorded, and nobody has been told; MODE=guarded has not sent its event.
    Commit,
}

/// A URL that may hold a password: `Debug` does not show it.
#[derive(Clone)]
pub(crate) struct SecretUrl(String);

impl SecretUrl {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for SecretUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn debug_shows_no_password() {
        let cli = Cli::parse_from([
            "coupon-service",
            "--database-url",
            "postgres://u:sesame@h/d",
        ]);
        assert!(!format!("{cli:?}").contains("sesame"));
    }
}
