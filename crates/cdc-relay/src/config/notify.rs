//! Section `[notify]`.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use cdc_outbox::is_topic_name;
use serde::Deserialize;
use webhook::Network;

use super::value::{optional, span_or_never, texts};
use super::{Invalid, Span, require};

/// Bounds for mistakes in the unit.
const SHORTEST_FAILURE: Duration = Duration::from_secs(60);
const SHORTEST_MEMORY: Duration = Duration::from_secs(3600);
const LONGEST_CACHE: Duration = Duration::from_secs(3600);

/// How events reach webhooks.
#[derive(Clone, Deserialize)]
pub(crate) struct NotifyConfig {
    /// The topics with the events; empty: this configuration names no notifier.
    pub(crate) topics: Vec<String>,
    /// The consumer group.
    pub(crate) group: String,
    /// Requests in flight to endpoints that answer, all together.
    pub(crate) concurrency: NonZeroUsize,
    /// For one request, from DNS to the end of the answer.
    pub(crate) timeout: Span,
    /// Networks that endpoints may be in although they are not public.
    #[serde(deserialize_with = "texts")]
    pub(crate) allow_private_networks: Vec<Network>,
    /// Certificates in PEM that are trusted beside the system's.
    #[serde(deserialize_with = "optional")]
    pub(crate) ca_file: Option<String>,
    /// What requests say who sends them.
    #[serde(deserialize_with = "optional")]
    pub(crate) user_agent: Option<String>,
    /// Names of headers are written as `Webhook-Id` over HTTP/1.1.
    pub(crate) title_case_headers: bool,
    /// After how long a time of nothing but failure an endpoint is disabled.
    #[serde(deserialize_with = "span_or_never")]
    pub(crate) disable_after: Option<Span>,
    /// How old what is known of subscriptions and endpoints may be.
    pub(crate) cache_expiry: Span,
    /// Which requests are kept.
    pub(crate) attempt_log: AttemptLog,
    /// How long it is remembered who got what; longer than records are kept in Kafka.
    #[serde(deserialize_with = "span_or_never")]
    pub(crate) retention: Option<Span>,
    /// What secrets of endpoints are sealed with in the database, 32 bytes in base64; the first seals.
    pub(crate) secret_keys: Vec<String>,
}

/// Which requests are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AttemptLog {
    All,
    Failed,
    Off,
}

impl From<AttemptLog> for notifier::AttemptLog {
    fn from(log: AttemptLog) -> Self {
        match log {
            AttemptLog::All => Self::All,
            AttemptLog::Failed => Self::Failed,
            AttemptLog::Off => Self::Off,
        }
    }
}

impl NotifyConfig {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        require(
            self.topics.iter().all(|topic| is_topic_name(topic)),
            "notify.topics",
            "be names of topics: letters, digits, '.', '_' and '-', at most 249",
        )?;
        require(
            !self.group.is_empty() && is_topic_name(&self.group),
            "notify.group",
            "be a name that topics can have in theirs: letters, digits, '.', '_' and '-'",
        )?;
        require(
            (1..=10_000).contains(&self.concurrency.get()),
            "notify.concurrency",
            "be between 1 and 10000",
        )?;
        require(
            (Duration::from_millis(100)..=Duration::from_secs(300)).contains(&self.timeout.get()),
            "notify.timeout",
            "be between \"100ms\" and \"5m\"",
        )?;
        require(
            self.disable_after
                .is_none_or(|after| after.get() >= SHORTEST_FAILURE),
            "notify.disable_after",
            "be at least \"1m\", or \"\" for never",
        )?;
        require(
            self.retention
                .is_none_or(|kept| kept.get() >= SHORTEST_MEMORY),
            "notify.retention",
            "be at least \"1h\", or \"\" for ever: who is forgotten to have got an event may get it again",
        )?;
        require(
            self.cache_expiry.get() <= LONGEST_CACHE,
            "notify.cache_expiry",
            "be at most \"1h\": for as long a disabled endpoint may still be sent to",
        )?;
        require(
            self.user_agent.as_deref().is_none_or(is_header_value),
            "notify.user_agent",
            "be printable ASCII characters, at most 256",
        )?;
        require(
            self.secret_keys().is_ok(),
            "notify.secret_keys",
            "be keys of 32 bytes in base64, as `openssl rand -base64 32` prints them",
        )
    }

    /// The keys, read.
    pub(crate) fn secret_keys(&self) -> Result<notifier::SecretKeys, notifier::SecretError> {
        notifier::SecretKeys::new(self.secret_keys.iter().map(String::as_str))
    }
}

fn is_header_value(text: &str) -> bool {
    text.len() <= 256 && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

impl fmt::Debug for NotifyConfig {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotifyConfig")
            .field("topics", &self.topics)
            .field("group", &self.group)
            .field("concurrency", &self.concurrency)
            .field("timeout", &self.timeout)
            .field("secret_keys", &self.secret_keys.len())
            .finish_non_exhaustive()
    }
}
