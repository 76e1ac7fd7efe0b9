//! The lanes of a group that keeps the order of its keys.

use std::sync::Arc;
use std::time::Duration;

use cdc_event::{Backoff, random_fraction};
use ordered_lanes::{
    DeadHead, Disposition, LaneSettings, OrderedLanes, PostgresLanes, show_metrics,
};
use recovery::Ordering;
use tokio_util::sync::CancellationToken;

use crate::complaints::Complaints;
use crate::config::Config;
use crate::failure::Failure;

/// Between tries of a database that is away.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How often the metrics are renewed.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// For one look.
const LOOK_LIMIT: Duration = Duration::from_secs(10);

/// The lanes of a group.
#[derive(Debug)]
pub(super) struct Lanes {
    group: String,
    ordering: Ordering,
    figures: Arc<PostgresLanes>,
}

impl Lanes {
    /// Connects; waits as long as PostgreSQL is away. `drain` is for what is begun when the process has to stop.
    ///
    /// # Errors
    ///
    /// What cannot pass by itself.
    pub(super) async fn open(
        config: &Config,
        group: &str,
        dead_head: DeadHead,
        drain: Duration,
    ) -> Result<Self, Failure> {
        let partitions = Arc::new(connect(config).await?);
        let workers = Arc::new(connect(config).await?);
        let settings = LaneSettings {
            drain,
            ..LaneSettings::new(dead_head)
        };
        let figures = Arc::clone(&workers);
        let lanes = OrderedLanes::new(partitions, workers, settings);
        Ok(Self {
            group: group.to_owned(),
            ordering: Ordering::Key(Arc::new(lanes)),
            figures,
        })
    }

    /// For the runner.
    pub(super) fn ordering(&self) -> Ordering {
        self.ordering.clone()
    }

    /// Keeps the metrics up to date until `ended` is cancelled.
    pub(super) async fn watch(&self, config: &Config, ended: &CancellationToken) {
        let complaints = Complaints::default();
        loop {
            let look = tokio::time::timeout(LOOK_LIMIT, self.figures.stats(&self.group));
            tokio::select! {
                look = look => match look {
                    Ok(Ok(stats)) => show_metrics(&self.group, &stats),
                    Ok(Err(error)) => complaints.about("PostgreSQL", &Failure::from_lanes(error, config)),
                    Err(_) => {}
                },
                () = ended.cancelled() => return,
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = ended.cancelled() => return,
            }
        }
    }
}

async fn connect(config: &Config) -> Result<PostgresLanes, Failure> {
    let store = config.at_store().postgres.options();
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    let complaints = Complaints::default();
    loop {
        let error = match PostgresLanes::connect(&store).await {
            Ok(lanes) => return Ok(lanes),
            Err(error) => error,
        };
        let may_pass = error.disposition() != Disposition::Permanent;
        let failure = Failure::from_lanes(error, config);
        if !may_pass {
            return Err(failure);
        }
        complaints.about("PostgreSQL", &failure);
        tokio::time::sleep(backoff.next_delay(random_fraction())).await;
    }
}
