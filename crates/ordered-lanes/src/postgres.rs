//! Lanes in PostgreSQL: the tables and functions of `sql/V6__lane.sql`,
//! `sql/V8__lane_delays.sql`, `sql/V13__lane_part_due.sql` and `sql/V14__lane_replay.sql`.

mod look;
mod operate;
mod own;
mod put;
mod remainders;
mod row;
mod run;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use pg_replication::{Client, ConnectOptions, connect_client};

use crate::error::Error;

pub use look::{DeadEvent, LaneStats};
pub use operate::{Action, Operated};

/// Lanes in PostgreSQL, over one session that any number of tasks may use at the same time.
///
/// A call after the connection was lost connects anew; the call during which it was lost fails with a transient
/// error, and may be done again. Nothing here limits the time of a call. Dropping the future of one leaves the session
/// usable, and the outcome unknown. Each call is one statement, so a pooler is fine.
///
/// Consumer and workers had better have one each: a large record on its way in then delays no retry.
pub struct PostgresLanes {
    options: ConnectOptions,
    client: Mutex<Arc<Client>>,
}

impl PostgresLanes {
    /// Connects and looks whether the tables are there and may be read; `cdc-relay init` makes them.
    ///
    /// Dropping the future closes what is open.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`] when the server cannot be reached or refuses, [`Error::NoTable`].
    pub async fn connect(options: &ConnectOptions) -> Result<Self, Error> {
        let client = connect_client(options)
            .await
            .map_err(Error::while_("connect to the lanes"))?;
        client
            .query_typed(
                "SELECT dead_through, delays FROM cdc.lane, cdc.lane_event LIMIT 0",
                &[],
            )
            .await
            .map_err(Error::while_("read the lanes"))?;
        Ok(Self {
            options: options.clone(),
            client: Mutex::new(Arc::new(client)),
        })
    }

    /// A session that was alive a moment ago. Calls that find it closed at the same time each open one; the last stays.
    async fn client(&self) -> Result<Arc<Client>, Error> {
        let current = Arc::clone(&self.client.lock().unwrap_or_else(PoisonError::into_inner));
        if !current.is_closed() {
            return Ok(current);
        }
        let anew = connect_client(&self.options)
            .await
            .map_err(Error::while_("connect to the lanes again"))?;
        let anew = Arc::new(anew);
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&anew);
        Ok(anew)
    }
}

impl fmt::Debug for PostgresLanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresLanes")
            .field("target", &self.options.target())
            .finish_non_exhaustive()
    }
}
