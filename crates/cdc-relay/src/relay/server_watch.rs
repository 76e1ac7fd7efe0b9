//! What an ordinary connection, beside the stream, tells about the server while the slot is held: that it is shutting
//! down, how much log the slot keeps, and how far its `catalog_xmin` has come.
//!
//! The server ends ordinary connections at once when it shuts down, and then waits for its walsenders. One that is stuck
//! in sending to a relay that does not read says nothing to the stream.
//!
//! Every row whose `xmin` is older was committed before the slot's confirmed position, or never: PostgreSQL moves
//! `catalog_xmin` to the oldest transaction that was running at some place in the log only when the client has
//! confirmed that place (`LogicalIncreaseXminForSlot`, `LogicalConfirmReceivedLocation`). So the number divides the rows of
//! a table into those that Kafka has for certain and those that have to be looked for, and it is in each checkpoint.

use std::convert::Infallible;
use std::time::Duration;

use pg_replication::pgoutput::Xid;
use pg_replication::{Client, ConnectOptions, SlotName, connect_client};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::metric::{self, SlotLog};
use crate::shard::Shard;

/// What lies between two looks may have to be compared with Kafka one by one, should the slot be lost.
const INTERVAL: Duration = Duration::from_secs(10);

/// SQLSTATE of a connection that is ended by an administrator or a shutdown.
const ADMIN_SHUTDOWN: &str = "57P01";

/// Looks until it is dropped.
#[derive(Debug)]
pub(super) struct ServerWatch {
    horizon: watch::Receiver<Option<Xid>>,
    stopping: CancellationToken,
    shard: Option<Shard>,
    /// Ends with this value.
    _task: JoinSet<()>,
}

impl ServerWatch {
    /// To be started when the slot is held: before, somebody else could move it.
    pub(super) fn start(options: ConnectOptions, slot: SlotName, shard: Option<Shard>) -> Self {
        let (sender, horizon) = watch::channel(None);
        let stopping = CancellationToken::new();
        let told = stopping.clone();
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                let Err(error) = watch_server(&options, &slot, shard, &sender).await;
                if error
                    .sql_state()
                    .is_some_and(|state| state.as_str() == ADMIN_SHUTDOWN)
                {
                    told.cancel();
                }
                // Anything else is of no consequence: an older horizon is only less sharp.
                tracing::debug!(%error, "the connection beside the stream ended");
                tokio::time::sleep(INTERVAL).await;
            }
        });
        Self {
            horizon,
            stopping,
            shard,
            _task: task,
        }
    }

    pub(super) fn horizon(&self) -> watch::Receiver<Option<Xid>> {
        self.horizon.clone()
    }

    /// Resolves when the server shuts down.
    ///
    /// Cancellation safe.
    pub(super) async fn stopping(&self) {
        self.stopping.cancelled().await;
    }
}

impl Drop for ServerWatch {
    /// From now on the slot may be another relay's, and what was seen of it gets old.
    fn drop(&mut self) {
        metric::observe_slot(SlotLog::default(), self.shard);
    }
}

/// Looks until the connection ends.
async fn watch_server(
    options: &ConnectOptions,
    slot: &SlotName,
    shard: Option<Shard>,
    horizon: &watch::Sender<Option<Xid>>,
) -> Result<Infallible, pg_replication::Error> {
    let mut client = connect_client(options).await?;
    loop {
        if let Some(seen) = look(&client, slot).await? {
            metric::observe_slot(seen.log, shard);
            if let Some(xid) = seen.horizon {
                horizon.send_replace(Some(xid));
            }
        }
        tokio::select! {
            error = client.ended() => return Err(error),
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// The slot at one moment.
#[derive(Debug)]
struct Seen {
    horizon: Option<Xid>,
    log: SlotLog,
}

const LOOK: &str = "
    WITH log AS (
        SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_receive_lsn()
                    ELSE pg_catalog.pg_current_wal_lsn() END AS ends
    )
    SELECT catalog_xmin::text,
           pg_catalog.pg_wal_lsn_diff(log.ends, confirmed_flush_lsn)::float8,
           pg_catalog.pg_wal_lsn_diff(log.ends, restart_lsn)::float8,
           safe_wal_size::float8
      FROM log, pg_catalog.pg_replication_slots WHERE slot_name = $1::text::name";

/// `None` when there is no such slot.
async fn look(client: &Client, slot: &SlotName) -> Result<Option<Seen>, pg_replication::Error> {
    let row = client.query_opt(LOOK, &[&slot.as_str()]).await?;
    Ok(row.map(|row| Seen {
        horizon: row
            .get::<_, Option<String>>(0)
            .and_then(|text| text.parse().ok())
            .map(Xid),
        log: SlotLog {
            lag_bytes: row.get(1),
            retained_bytes: row.get(2),
            safe_bytes: row.get(3),
        },
    }))
}
