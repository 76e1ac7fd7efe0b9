//! Writers in the background.

use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Mix, Writer};
use crate::stopwatch::Phase;

/// How far a writer may fall behind its pace and still make up for it.
const MAX_DEBT: Duration = Duration::from_millis(200);

/// The largest number of events in a transaction of a load.
const MOST: u32 = 100;

/// A number of committed events per second.
#[derive(Debug, Clone, Copy)]
pub struct Pace(pub u32);

/// Writers that write until they are told to stop; dropping this stops them in the middle.
#[derive(Debug)]
pub struct Load {
    stop: CancellationToken,
    writers: JoinSet<Result<Writer>>,
}

impl Load {
    /// Lets each of `writers` write `mix`, all together at `pace`.
    pub fn start(writers: Vec<Writer>, mix: Mix, pace: Pace, phase: Phase) -> Self {
        let stop = CancellationToken::new();
        let share = writers.len().max(1);
        let each = Duration::from_secs(1) * u32::try_from(share).unwrap_or(1) / pace.0.max(1);
        let mut tasks = JoinSet::new();
        for writer in writers {
            tasks.spawn(write_until(stop.clone(), writer, mix, each, phase));
        }
        Self {
            stop,
            writers: tasks,
        }
    }

    /// Lets the transactions in progress end, and gives the writers back.
    ///
    /// # Errors
    /// Fails if a writer has failed; see [`Writer::write`].
    pub async fn stop(mut self) -> Result<Vec<Writer>> {
        self.stop.cancel();
        let mut writers = Vec::new();
        while let Some(writer) = self.writers.join_next().await {
            writers.push(writer??);
        }
        Ok(writers)
    }
}

async fn write_until(
    stop: CancellationToken,
    mut writer: Writer,
    mix: Mix,
    per_event: Duration,
    phase: Phase,
) -> Result<Writer> {
    let mut due = Instant::now();
    while !stop.is_cancelled() {
        let written = writer.write_next(mix, MOST, phase).await?;
        let earliest = Instant::now().checked_sub(MAX_DEBT).unwrap_or(due);
        due = due.max(earliest) + per_event * written;
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            () = stop.cancelled() => {}
        }
    }
    Ok(writer)
}
