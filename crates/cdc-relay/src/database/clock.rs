//! The server's clock, compared with this machine's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Database, value};
use crate::config::Config;
use crate::failure::{Context, Failure};

/// How two clocks differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ClockDifference {
    /// How many seconds the server's clock is ahead; negative when it is behind.
    pub(crate) ahead_seconds: f64,
    /// The difference is known to this many seconds.
    pub(crate) precision_seconds: f64,
}

impl Database {
    /// Reads the server's clock.
    pub(crate) async fn clock(&self, config: &Config) -> Result<ClockDifference, Failure> {
        let context = Context::new(config, "read the server's clock");
        let sql = "SELECT extract(epoch FROM pg_catalog.clock_timestamp())::float8 AS now";
        // The first run prepares the statement, which is not to count.
        self.row(sql, &[], context).await?;
        let before = SystemTime::now();
        let row = self.row(sql, &[], context).await?;
        let round_trip = before.elapsed().unwrap_or_default();
        let server: f64 = match &row {
            Some(row) => value(row, "now")?,
            None => return Err(Failure::internal("the server's clock gave no row")),
        };
        let here = before + round_trip / 2;
        let here = here.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Ok(ClockDifference {
            ahead_seconds: server - here.as_secs_f64(),
            precision_seconds: round_trip.as_secs_f64() / 2.0,
        })
    }
}
