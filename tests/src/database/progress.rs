//! Waiting for a slot to move.

use std::time::{Duration, SystemTime};

use anyhow::Result;

use super::{Database, Lsn, Slot};
use crate::wait::{Look, until};

impl Database {
    /// Waits until everything before `lsn` is confirmed.
    ///
    /// # Errors
    /// Fails after `limit`.
    pub async fn confirmed_past(&self, lsn: Lsn, limit: Duration) -> Result<()> {
        until(limit, "the slot to confirm", async || {
            let confirmed = self.slot().await?.confirmed;
            Ok(Look::when(
                confirmed >= lsn,
                format_args!("{confirmed}, wanted {lsn}"),
            ))
        })
        .await
    }

    /// Waits until the server need not keep the log before `lsn` for the slot, asking it for checkpoints meanwhile: only
    /// they let it forget.
    ///
    /// # Errors
    /// Fails after `limit`.
    pub async fn restart_past(&self, lsn: Lsn, limit: Duration) -> Result<()> {
        until(limit, "the slot to let go of the log", async || {
            self.session().await?.batch_execute("CHECKPOINT").await?;
            let restart = self.slot().await?.restart;
            Ok(Look::when(
                restart >= lsn,
                format_args!("{restart}, wanted {lsn}"),
            ))
        })
        .await
    }

    /// Waits until the relay has sent a status update although, or because, the walsender was past `lsn`. The slot then.
    ///
    /// # Errors
    /// Fails after `limit`.
    pub async fn reply_after(&self, lsn: Lsn, limit: Duration) -> Result<Slot> {
        until(limit, "the walsender to pass", async || {
            let sent = self.walsender().await?.sent;
            Ok(Look::when(
                sent >= lsn,
                format_args!("{sent}, wanted {lsn}"),
            ))
        })
        .await?;
        let passed = SystemTime::now();
        until(limit, "a status update", async || {
            let reply = self.walsender().await?.reply_time;
            Ok(Look::when(
                reply > Some(passed),
                format_args!("{reply:?}, wanted {passed:?}"),
            ))
        })
        .await?;
        self.slot().await
    }

    /// Sets how soon walsenders of this database give up on a silent client; holds for new connections.
    ///
    /// # Errors
    /// Fails if the server refuses.
    pub async fn set_wal_sender_timeout(&self, timeout: Duration) -> Result<()> {
        let (name, milliseconds) = (self.name(), timeout.as_millis());
        let sql = format!("ALTER DATABASE {name} SET wal_sender_timeout = '{milliseconds}ms'");
        Ok(self.session().await?.batch_execute(&sql).await?)
    }
}
