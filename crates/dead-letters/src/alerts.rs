//! Tells failures, once for each reason and window.

mod alert;
mod sink;
mod webhook;

use std::future::Future;
use std::time::Duration;

use cdc_store::{AlertClaim, AlertSettings, Error, FailedEvents};
use metrics::counter;
use pg_replication::ConnectOptions;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

pub use self::alert::Alert;
pub use self::sink::{AlertError, AlertSink};
pub use self::webhook::WebhookSink;
use crate::metric;

/// Reasons that are taken up at a time.
const REASONS: u32 = 5;

/// How often an alert is tried in a row, and what lies between.
const TRIES: u32 = 3;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

/// How long one try may take.
const TRY_LIMIT: Duration = Duration::from_secs(20);

/// How long a reason is held: longer than all of them take.
const LEASE: Duration = Duration::from_secs(10 * 60);

/// How long a call of the store may take.
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// When failures are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlertPlan {
    /// Failures of one reason are told once in this time.
    pub window: Duration,
    /// How often to look for news; the store is read then.
    pub interval: Duration,
    /// After an alert could not be sent, the next attempt for its reason comes not before.
    pub put_off: Duration,
}

impl Default for AlertPlan {
    /// Once in 15 minutes; looked for every 10 seconds, tried again after a minute.
    fn default() -> Self {
        Self {
            window: Duration::from_secs(15 * 60),
            interval: Duration::from_secs(10),
            put_off: Duration::from_secs(60),
        }
    }
}

/// Looks for open failures in the store and tells them, apart from whoever stores them: an alert that cannot be sent
/// holds nothing up. What is to be told is in the store, so no crash loses it, and several instances share it out.
///
/// An instance that is killed between sending an alert and recording that leaves it to be sent again.
#[derive(Debug)]
pub struct Alerts<S> {
    options: ConnectOptions,
    plan: AlertPlan,
    sink: S,
    store: Option<FailedEvents>,
    /// Whether the last look failed: said once until one succeeds.
    blind: bool,
}

impl<S: AlertSink> Alerts<S> {
    /// Connects to nothing.
    #[must_use]
    pub fn new(options: ConnectOptions, plan: AlertPlan, sink: S) -> Self {
        Self {
            options,
            plan,
            sink,
            store: None,
            blind: false,
        }
    }

    /// Looks and tells until `shutdown`. What fails is logged and tried again later; nothing ends this.
    ///
    /// Dropping it is like a crash: what it holds is told by another after ten minutes.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut looks = interval(self.plan.interval);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                () = shutdown.cancelled() => return,
            }
            match self.look(&shutdown).await {
                Ok(()) => self.blind = false,
                Err(failure) if !self.blind => {
                    self.blind = true;
                    tracing::warn!(
                        error = &failure as &dyn std::error::Error,
                        "cannot look for failures to be told; tried again every {}",
                        humantime::format_duration(self.plan.interval)
                    );
                }
                Err(_) => {}
            }
        }
    }

    /// One look, with all that follows.
    async fn look(&mut self, shutdown: &CancellationToken) -> Result<(), LookFailure> {
        let mut store = match self.store.take() {
            Some(store) => store,
            None => limited(FailedEvents::connect(&self.options)).await?,
        };
        let settings = AlertSettings {
            window: self.plan.window,
            lease: LEASE,
            limit: REASONS,
        };
        let claims = limited(store.claim_alerts(settings)).await?;
        for claim in claims {
            if self.tell(&claim, shutdown).await {
                limited(store.alert_sent(&claim)).await?;
            } else {
                limited(store.alert_failed(&claim, self.plan.put_off)).await?;
            }
        }
        // Dropped after a failure: a session that does not answer stays so.
        self.store = Some(store);
        Ok(())
    }

    /// Whether it was sent.
    async fn tell(&self, claim: &AlertClaim, shutdown: &CancellationToken) -> bool {
        let alert = Alert::of(claim, self.plan.window);
        let mut last = None;
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::select! {
                    () = sleep(BETWEEN_TRIES) => {}
                    () = shutdown.cancelled() => return false,
                }
            }
            let sent = tokio::select! {
                sent = timeout(TRY_LIMIT, self.sink.send(&alert)) => sent,
                // It may have arrived, and is told again then.
                () = shutdown.cancelled() => return false,
            };
            match sent {
                Ok(Ok(())) => {
                    counter!(metric::ALERTS, metric::OUTCOME => "sent").increment(1);
                    return true;
                }
                Ok(Err(error)) => last = Some(error),
                Err(_) => last = Some(AlertError::new(format!("no answer within {TRY_LIMIT:?}"))),
            }
        }
        counter!(metric::ALERTS, metric::OUTCOME => "failed").increment(1);
        tracing::warn!(
            error = last.as_ref().map(|error| error as &dyn std::error::Error),
            fingerprint = alert.fingerprint,
            "an alert could not be sent: {}",
            alert.title()
        );
        false
    }
}

/// Why the store was not looked into.
#[derive(Debug, thiserror::Error)]
enum LookFailure {
    #[error(transparent)]
    Store(#[from] Error),
    #[error("the store has not answered within {CALL_LIMIT:?}")]
    Silent,
}

async fn limited<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, LookFailure> {
    match timeout(CALL_LIMIT, call).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(LookFailure::Silent),
    }
}
