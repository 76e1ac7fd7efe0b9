//! How the notifier behaves.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use cdc_event::RetryPolicy;

use crate::batch::BatchLimits;

/// How the notifier behaves. The default is what `config/default.toml` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Requests in flight to endpoints that answer, all together. As many again as half of it wait for those that do
    /// not, or have not yet.
    pub concurrency: NonZeroUsize,
    /// Deliveries that are begun and not written down, all together: at the bound records wait.
    pub max_deliveries: NonZeroUsize,
    /// How long a record waits for one endpoint: for its turn, and then for its answer. What takes longer goes on by
    /// itself, and its record comes again for that endpoint.
    pub patience: Duration,
    /// The deadline of one request, as the client has it.
    pub timeout: Duration,
    /// How much longer than that a delivery is held against others, for clocks and for writing its outcome down.
    pub lease_margin: Duration,
    /// How old what is known of subscriptions and endpoints may be.
    pub cache_expiry: Duration,
    /// How many subscriptions and endpoints are kept in memory.
    pub cache_entries: NonZeroUsize,
    /// Rows of one round trip.
    pub batch_rows: NonZeroUsize,
    /// How long an outcome that comes alone waits for others to go with it to the disk. What a request waits for does
    /// not wait: what comes while a round trip is under way goes with the next.
    pub batch_wait: Duration,
    /// The time that a statement may take.
    pub database_timeout: Duration,
    /// Failures in a row that close an endpoint for a while.
    pub breaker_failures: NonZeroU32,
    /// For how long, from the first time on.
    pub breaker_pause: RetryPolicy,
    /// After how long a time of nothing but failure an endpoint is disabled; `None` is never.
    pub disable_after: Option<Duration>,
    /// Which requests are kept, besides the last answer of each delivery.
    pub attempt_log: AttemptLog,
}

/// Which requests are kept in `cdc.attempt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AttemptLog {
    /// All: a row more for each delivery.
    All,
    /// Those that did not arrive.
    #[default]
    Failed,
    /// None.
    Off,
}

impl Default for Settings {
    fn default() -> Self {
        const fn size(number: usize) -> NonZeroUsize {
            NonZeroUsize::MIN.saturating_add(number - 1)
        }
        Self {
            concurrency: size(64),
            max_deliveries: size(4096),
            patience: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            lease_margin: Duration::from_secs(20),
            cache_expiry: Duration::from_secs(5),
            cache_entries: size(100_000),
            batch_rows: size(256),
            batch_wait: Duration::from_millis(2),
            database_timeout: Duration::from_secs(10),
            breaker_failures: NonZeroU32::MIN.saturating_add(4),
            breaker_pause: RetryPolicy::new(Duration::from_secs(5), Duration::from_secs(300)),
            disable_after: Some(Duration::from_secs(5 * 86_400)),
            attempt_log: AttemptLog::default(),
        }
    }
}

impl AttemptLog {
    pub(crate) const fn keeps(self, arrived: bool) -> bool {
        match self {
            Self::All => true,
            Self::Failed => !arrived,
            Self::Off => false,
        }
    }
}

impl Settings {
    /// How long a claim lasts: always longer than the request that it is for.
    pub(crate) fn lease(&self) -> Duration {
        self.timeout.saturating_add(self.lease_margin)
    }

    /// For what a request waits for.
    pub(crate) const fn at_once(&self) -> BatchLimits {
        BatchLimits {
            wait: Duration::ZERO,
            ..self.batch()
        }
    }

    pub(crate) const fn batch(&self) -> BatchLimits {
        BatchLimits {
            items: self.batch_rows.get(),
            wait: self.batch_wait,
        }
    }
}
