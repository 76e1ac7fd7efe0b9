//! CPU time of the process that decodes the log for a slot.

use std::time::Duration;

use anyhow::Result;
use cdc_e2e::database::Session;
use cdc_e2e::process::Pid;

/// Watches the walsender of one slot. It ends with its client, so its CPU time must be read while it lives.
#[derive(Debug)]
pub(crate) struct WalsenderClock {
    slot: String,
    pid: Option<Pid>,
    used: Duration,
}

impl WalsenderClock {
    /// For a slot that nobody is connected to yet.
    pub(crate) fn new(slot: &str) -> Self {
        Self {
            slot: slot.to_owned(),
            pid: None,
            used: Duration::ZERO,
        }
    }

    /// Reads the clock. Call it often: what is used after the last call is not counted.
    pub(crate) async fn look(&mut self, session: &Session) -> Result<()> {
        if self.pid.is_none() {
            let query = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1";
            let row = session.query_one(query, &[&self.slot]).await?;
            let pid: Option<i32> = row.get(0);
            self.pid = pid.and_then(|pid| u32::try_from(pid).ok()).map(Pid);
        }
        // An error: it has ended, and the last reading stands.
        if let Some(Ok(used)) = self.pid.map(Pid::cpu_time) {
            self.used = used;
        }
        Ok(())
    }

    /// The last reading.
    pub(crate) fn used(&self) -> Duration {
        self.used
    }
}
