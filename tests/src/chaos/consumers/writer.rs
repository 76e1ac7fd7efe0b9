//! Events at a steady pace.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::scenario::Scenario;

/// One event each time.
const PERIOD: Duration = Duration::from_millis(20);

/// Keys, so that many are under way at once.
const KEYS: u32 = 40;

/// Commits one event after the other until it is told to stop.
pub(super) struct Writer {
    stop: CancellationToken,
    task: JoinSet<Result<u32>>,
}

impl Writer {
    pub(super) async fn start(scenario: &Scenario) -> Result<Self> {
        let session = scenario.database().session().await?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut tick = interval(PERIOD);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut number = 0;
            while !stopped.is_cancelled() {
                tick.tick().await;
                number += 1;
                let (id, key) = (id(number), number % KEYS);
                let sql =
                    format!("SELECT cdc.emit('order', 'k{key}', 'Happened', '{{}}', NULL, '{id}')");
                session.batch_execute(&sql).await?;
            }
            Ok(number)
        });
        Ok(Self { stop, task })
    }

    /// How many were committed; their numbers are from 1 to that.
    pub(super) async fn stop(mut self) -> Result<u32> {
        self.stop.cancel();
        self.task.join_next().await.context("no writer")??
    }
}

/// The id of an event.
pub(super) fn id(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// The number of an event.
pub(super) fn number(id: &str) -> Option<u32> {
    id.rsplit('-').next()?.parse().ok()
}
