//! How much waits in retry topics.

use std::collections::BTreeMap;
use std::time::Duration;

use cdc_kafka::{KafkaOptions, PartitionLag, group_lag};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::metric;
use crate::plan::Tier;
use crate::work::Shared;

/// Each look makes connections of its own.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How long one question may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Looks once in a while, until it is cancelled.
pub(super) async fn watch<H>(shared: &Shared<H>, options: &KafkaOptions, stop: &CancellationToken) {
    let group = shared.names.retry_group();
    let topics: Vec<_> = shared.names.retry_topics().map(str::to_owned).collect();
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first comes at once, when nobody has joined yet.
    ticks.tick().await;
    loop {
        let look = async {
            ticks.tick().await;
            group_lag(options, &group, &topics, TIMEOUT).await
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            lags = look => match lags {
                Ok(lags) => show(shared, &lags),
                Err(error) => tracing::debug!(%error, "cannot see how much waits in retry topics"),
            }
        }
    }
}

fn show<H>(shared: &Shared<H>, lags: &[PartitionLag]) {
    let mut backlog: BTreeMap<Tier, u64> = BTreeMap::new();
    for lag in lags {
        if let Some((_, tier)) = shared.names.of_retry(&lag.partition.topic) {
            *backlog.entry(tier).or_default() += lag.offsets_behind();
        }
    }
    for (tier, records) in backlog {
        #[expect(clippy::cast_precision_loss, reason = "a metric")]
        metric::of_tier(metric::BACKLOG, shared.names.group(), tier.number()).set(records as f64);
    }
}
