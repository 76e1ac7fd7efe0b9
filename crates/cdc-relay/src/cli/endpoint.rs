//! The arguments of `endpoint`.

mod lists;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use notifier::{EndpointId, Guarantee};

pub(crate) use lists::{EndpointAttempts, EndpointDeliveries, EndpointList};

/// Arguments of `endpoint`.
#[derive(Debug, Args)]
pub(crate) struct Endpoint {
    #[command(subcommand)]
    pub(crate) action: EndpointAction,
}

/// What to do with webhook endpoints.
#[derive(Debug, Subcommand)]
pub(crate) enum EndpointAction {
    /// Adds an endpoint and prints its secret, which is not shown again.
    #[command(
        after_help = "Without --subject and --type it gets every event, unless --no-subscription is given: then the \
                            application's own cdc.subscription says what it gets.\n\n\
                            Examples:\n  cdc-relay endpoint add billing --url https://billing.example/hook --type order.paid\n  \
                            cdc-relay endpoint add team-chat --url https://wh.jandi.com/… --format jandi \
                            --guarantee at_most_once --subject author-7"
    )]
    Add(EndpointAdd),
    /// Changes what is given of an endpoint, and prints what is another now.
    #[command(
        after_help = "What is not given stays, the secret too: `endpoint rotate-secret` gives it another. Events that \
                            failed before are tried again as it is then. A running notifier knows of it within \
                            `notify.cache_expiry`.\n\n\
                            Examples:\n  cdc-relay endpoint change billing --url https://billing.example/v2/hook\n  \
                            cdc-relay endpoint change billing --max-concurrency 16 --no-rate\n  \
                            cdc-relay endpoint change billing --type order.paid --type order.refunded --json"
    )]
    Change(EndpointChange),
    /// Removes an endpoint with its subscriptions, for good.
    #[command(
        after_help = "One that has not got all of its events is only removed with --yes: what was to come again for it \
                            does not. What is known of its deliveries stays until `notify.retention`. To stop it for a \
                            while: `endpoint disable`.\n\n\
                            Exit status: 69 when it was not removed.\n\n\
                            Examples:\n  cdc-relay endpoint remove billing\n  \
                            cdc-relay endpoint remove billing --yes --json"
    )]
    Remove(EndpointRemove),
    /// Lists endpoints, without their secrets.
    #[command(after_help = "Examples:\n  cdc-relay endpoint list\n  \
                            cdc-relay endpoint list --limit 100 --after billing\n  \
                            cdc-relay endpoint list --json | jq '.endpoints[] | select(.state == \"disabled\")'")]
    List(EndpointList),
    /// Sends a test message to an endpoint and prints what it answered.
    #[command(
        after_help = "Exit status: 69 when it was not taken.\n\nExample:\n  cdc-relay endpoint test billing"
    )]
    Test(EndpointTest),
    /// Enables an endpoint and says what it missed.
    #[command(after_help = "Example:\n  cdc-relay endpoint enable billing")]
    Enable(EndpointEnable),
    /// Disables an endpoint: it is sent nothing, and what it misses is noted.
    #[command(
        after_help = "Example:\n  cdc-relay endpoint disable billing --reason 'moves on Friday'"
    )]
    Disable(EndpointDisable),
    /// Gives an endpoint another secret and prints it; requests are signed with both for a while.
    #[command(after_help = "Example:\n  cdc-relay endpoint rotate-secret billing --overlap 24h")]
    RotateSecret(EndpointRotateSecret),
    /// Lists deliveries that did not arrive: failed, missed while disabled, or in doubt.
    #[command(
        after_help = "In doubt are requests to endpoints of at_most_once that may have arrived.\n\n\
                            Examples:\n  cdc-relay endpoint deliveries --endpoint billing\n  \
                            cdc-relay endpoint deliveries --state unknown --json"
    )]
    Deliveries(EndpointDeliveries),
    /// Lists requests and what was answered, the newest first.
    #[command(
        after_help = "Which requests are kept is said by `notify.attempt_log`: those that failed, if nothing else.\n\n\
                            Examples:\n  cdc-relay endpoint attempts --endpoint billing --newer-than 1h\n  \
                            cdc-relay endpoint attempts --status 5xx --older-than 1d --newer-than 2d\n  \
                            cdc-relay endpoint attempts --code webhook-timeout --limit 20\n  \
                            cdc-relay endpoint attempts --event 4f0c… --json"
    )]
    Attempts(EndpointAttempts),
    /// Settles a delivery that is in doubt.
    #[command(after_help = "Example:\n  cdc-relay endpoint resolve EVENT team-chat --arrived")]
    Resolve(EndpointResolve),
}

/// Arguments of `endpoint add`.
#[derive(Args)]
pub(crate) struct EndpointAdd {
    /// Its name.
    #[arg(value_parser = endpoint_id)]
    pub(crate) id: EndpointId,
    /// Where to: http or https, without credentials.
    #[arg(long)]
    pub(crate) url: String,
    /// json, cloudevents, jandi, slack, discord or template.
    #[arg(long, default_value = "json")]
    pub(crate) format: String,
    /// The file with the template, for the format `template`.
    #[arg(long, value_name = "FILE")]
    pub(crate) template_file: Option<PathBuf>,
    /// A file with the secret to sign with (whsec_… or whsk_…); without it a new one is made.
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
    /// at_least_once: what may have arrived is sent again, with the same webhook-id. at_most_once: it is not.
    #[arg(long, default_value = "at_least_once")]
    pub(crate) guarantee: Guarantee,
    /// Requests in flight to it, 1 to 1000.
    #[arg(long, default_value = "8")]
    pub(crate) max_concurrency: NonZeroU32,
    /// Requests a second.
    #[arg(long, value_name = "PER_SECOND")]
    pub(crate) rate: Option<f64>,
    /// Records wait until it has answered: with keys in order, it gets the events of a key in order.
    #[arg(long)]
    pub(crate) ordered: bool,
    /// Only events of this subject (their key).
    #[arg(long)]
    pub(crate) subject: Option<String>,
    /// Only events of this type, or with .* at its end of all types that begin so (post.*); may be repeated.
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) types: Vec<String>,
    /// Adds no subscription.
    #[arg(long, conflicts_with_all = ["subject", "types"])]
    pub(crate) no_subscription: bool,
}

/// Arguments of `endpoint change`.
#[derive(Args)]
pub(crate) struct EndpointChange {
    /// Its name.
    #[arg(value_parser = endpoint_id)]
    pub(crate) id: EndpointId,
    /// Where to: http or https, without credentials.
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// json, cloudevents, jandi, slack, discord or template.
    #[arg(long)]
    pub(crate) format: Option<String>,
    /// The file with the template, for the format `template`.
    #[arg(long, value_name = "FILE")]
    pub(crate) template_file: Option<PathBuf>,
    /// at_least_once: what may have arrived is sent again, with the same webhook-id. at_most_once: it is not.
    #[arg(long)]
    pub(crate) guarantee: Option<Guarantee>,
    /// Requests in flight to it, 1 to 1000.
    #[arg(long)]
    pub(crate) max_concurrency: Option<NonZeroU32>,
    /// Requests a second.
    #[arg(long, value_name = "PER_SECOND")]
    pub(crate) rate: Option<f64>,
    /// At any rate.
    #[arg(long, conflicts_with = "rate")]
    pub(crate) no_rate: bool,
    /// Records wait until it has answered: with keys in order, it gets the events of a key in order.
    #[arg(long)]
    pub(crate) ordered: bool,
    /// Records do not wait for it.
    #[arg(long, conflicts_with = "ordered")]
    pub(crate) no_ordered: bool,
    /// Only events of this subject (their key). With --type, its subscriptions in place of those that it has.
    #[arg(long)]
    pub(crate) subject: Option<String>,
    /// Only events of this type, or with .* at its end of all types that begin so (post.*); may be repeated.
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) types: Vec<String>,
    /// Every event.
    #[arg(long, conflicts_with_all = ["subject", "types", "no_subscription"])]
    pub(crate) every_event: bool,
    /// Removes its subscriptions.
    #[arg(long, conflicts_with_all = ["subject", "types"])]
    pub(crate) no_subscription: bool,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `endpoint remove`.
#[derive(Debug, Args)]
pub(crate) struct EndpointRemove {
    /// Its name.
    #[arg(value_parser = endpoint_id)]
    pub(crate) id: EndpointId,
    /// Also if it has not got all of its events.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `endpoint test`.
#[derive(Debug, Args)]
pub(crate) struct EndpointTest {
    /// Its name.
    #[arg(value_parser = endpoint_id)]
    pub(crate) id: EndpointId,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `endpoint enable`.
#[derive(Debug, Args)]
pub(crate) struct EndpointEnable {
    /// Its name.
    #[arg(value_parser = endpoint_id)]
    pub(crate) id: EndpointId,
}

/// Arguments of `endpoint disable`.
#[derive(Debug, Args)]
pub(crate) struct EndpointDisable {
    /// Its name.
    #[arg(value_parser = endpoint_id)]
    pub(crate) id: EndpointId,
    /// For whoever looks.
    #[arg(long, default_value = "by hand")]
    pub(crate) reason: String,
}

/// Arguments of `endpoint rotate-secret`.
#[derive(Debug, Args)]
pub(crate) struct EndpointRotateSecret {
    /// Its name.
    #[arg(value_parser = endpoint_id)]
    pub(crate) id: EndpointId,
    /// A file with the new secret; without it one is made.
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
    /// How long requests are signed with the old one too.
    #[arg(long, default_value = "24h", value_parser = humantime::parse_duration)]
    pub(crate) overlap: Duration,
}

/// Arguments of `endpoint resolve`.
#[derive(Debug, Args)]
pub(crate) struct EndpointResolve {
    /// The event, as `endpoint deliveries` shows it.
    pub(crate) event: String,
    /// The endpoint.
    #[arg(value_parser = endpoint_id)]
    pub(crate) id: EndpointId,
    /// It arrived.
    #[arg(long, required_unless_present = "send_again")]
    pub(crate) arrived: bool,
    /// It did not: it is sent when its record comes again, by a replay for example.
    #[arg(long, conflicts_with = "arrived")]
    pub(crate) send_again: bool,
}

impl std::fmt::Debug for EndpointAdd {
    /// Without the URL: the path of a chat's webhook is a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EndpointAdd")
            .field("id", &self.id)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for EndpointChange {
    /// Without the URL: the path of a chat's webhook is a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EndpointChange")
            .field("id", &self.id)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

fn endpoint_id(text: &str) -> Result<EndpointId, String> {
    EndpointId::new(text).map_err(|error| error.to_string())
}
