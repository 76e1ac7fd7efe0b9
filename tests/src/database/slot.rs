//! What PostgreSQL says about a replication slot and the process that serves it.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Error, Result};

use super::Database;
use crate::wait::{Look, until};

/// A position in the write-ahead log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lsn(u64);

impl Lsn {
    /// From the SQL expression `(lsn - '0/0')::bigint`.
    pub(super) fn from_difference(bytes: i64) -> Self {
        Self(bytes.cast_unsigned())
    }
}

impl FromStr for Lsn {
    type Err = Error;

    /// From PostgreSQL's notation, such as `16/B374D848`.
    fn from_str(text: &str) -> Result<Self> {
        let (high, low) = text.split_once('/').context("an LSN has a slash")?;
        let half = |digits| u32::from_str_radix(digits, 16).map(u64::from);
        Ok(Self(half(high)? << 32 | half(low)?))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

/// A row of `pg_replication_slots`.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// The walsender that serves it, if somebody is connected.
    pub walsender: Option<i32>,
    /// Everything before was confirmed and is not sent again.
    pub confirmed: Lsn,
    /// The log is kept from here.
    pub restart: Lsn,
}

/// A row of `pg_stat_replication`.
#[derive(Debug, Clone, Copy)]
pub struct Walsender {
    /// Its process id.
    pub pid: i32,
    /// It has read the log, and sent what concerns us, up to here.
    pub sent: Lsn,
    /// When the last status update came, by the client's clock.
    pub reply_time: Option<SystemTime>,
}

impl Database {
    /// The slot, which has the name of the database.
    ///
    /// # Errors
    /// Fails if there is none, it is being made, or the server is down.
    pub async fn slot(&self) -> Result<Slot> {
        let query = "SELECT active_pid, (confirmed_flush_lsn - '0/0')::bigint, (restart_lsn - '0/0')::bigint
                     FROM pg_replication_slots WHERE slot_name = $1";
        let row = self
            .session()
            .await?
            .query_opt(query, &[&self.name()])
            .await?
            .context("no slot")?;
        Ok(Slot {
            walsender: row.get(0),
            // Null while the slot is being made.
            confirmed: Lsn::from_difference(row.try_get(1)?),
            restart: Lsn::from_difference(row.try_get(2)?),
        })
    }

    /// The walsender of the slot.
    ///
    /// # Errors
    /// Fails if nobody is connected, or the server is down.
    pub async fn walsender(&self) -> Result<Walsender> {
        let query = "SELECT pid, (sent_lsn - '0/0')::bigint, reply_time
                     FROM pg_stat_replication JOIN pg_replication_slots ON pid = active_pid WHERE slot_name = $1";
        let row = self
            .session()
            .await?
            .query_opt(query, &[&self.name()])
            .await?
            .context("nobody is connected")?;
        Ok(Walsender {
            pid: row.get(0),
            // Null until it has sent something.
            sent: Lsn::from_difference(row.try_get(1)?),
            reply_time: row.get(2),
        })
    }

    /// How many changes of the outbox the slot would send to the next relay. Waits until nobody uses the slot.
    ///
    /// # Errors
    /// Fails if the slot is in use for `limit`.
    pub async fn changes_left(&self, limit: Duration) -> Result<i64> {
        let query = "SELECT count(*) FILTER (WHERE get_byte(data, 0) IN (ascii('I'), ascii('M')))
                     FROM pg_logical_slot_peek_binary_changes($1::text::name, NULL, NULL,
                          'proto_version', '1', 'publication_names', $1::text, 'messages', 'true')";
        until(limit, "a look into the slot", async || {
            let row = self
                .session()
                .await?
                .query_one(query, &[&self.name()])
                .await?;
            Ok(Look::Ready(row.get(0)))
        })
        .await
    }
}
