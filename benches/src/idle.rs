//! What the relay costs while nothing happens.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cdc_e2e::progress::Progress;
use cdc_e2e::services::Services;
use serde::{Deserialize, Serialize};

use crate::arguments::Effort;
use crate::outbox::{Delivery, Outbox, PayloadType};
use crate::report::Target;
use crate::statistics::rounded;

/// How long the relay may settle after its start.
const SETTLE: Duration = Duration::from_secs(2);

/// How long it may take to stop.
const STOP: Duration = Duration::from_secs(30);

/// The share of one core that an idle relay should not exceed, in percent.
const TARGET: f64 = 1.0;

/// What doing nothing has shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct IdleFigures {
    /// How long the relay was watched.
    pub(crate) seconds: f64,
    /// Of one core.
    pub(crate) cpu_percent: f64,
    /// At the end.
    pub(crate) resident_mib: f64,
}

impl IdleFigures {
    /// What should be reached.
    pub(crate) fn targets(&self) -> Vec<Target> {
        vec![Target::at_most("cpu_percent", TARGET, self.cpu_percent)]
    }
}

/// Watches a relay that is connected to an outbox which nobody writes to.
pub(crate) async fn measure(
    services: &Services,
    effort: &Effort,
    progress: &Progress,
) -> Result<IdleFigures> {
    let outbox = Outbox::create(services, PayloadType::Json).await?;
    let stream = outbox.stream("idle", Delivery::ExactlyOnce);
    outbox.add_slot(&stream).await?;
    let mut relay = outbox.start_relay(&stream)?;
    relay.until_phase("streaming").await?;
    progress.now(format!("idle: {:?} of nothing", effort.idle));
    tokio::time::sleep(SETTLE).await;
    let (before, started) = (relay.pid().cpu_time()?, Instant::now());
    tokio::time::sleep(effort.idle).await;
    let (used, took) = (relay.pid().cpu_time()? - before, started.elapsed());
    let resident = relay.pid().resident()?;
    relay.sigterm(STOP).await.with_context(|| outbox.log())?;
    outbox.remove().await?;
    Ok(IdleFigures {
        seconds: rounded(took.as_secs_f64()),
        cpu_percent: rounded(100.0 * used.as_secs_f64() / took.as_secs_f64()),
        resident_mib: rounded(resident.0 as f64 / 1024.0),
    })
}
