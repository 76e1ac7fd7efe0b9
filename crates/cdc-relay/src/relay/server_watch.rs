//! What an ordinary connection, beside the stream, tells about the server while the slot is held: that it is shutting
//! down, and how far the slot's `catalog_xmin` has come.
//!
//! The server ends ordinary connections at once when it shuts down, and then waits for its walsenders. One that is stuck
//! in sending to a relay that does not read says nothing to the stream.
//!
//! Every row whose `xmin` is older was committed before the slot's confirmed position, or never: PostgreSQL moves
//! `catalog_xmin` to the oldest transaction that was running at some place in the log only when the client has
//! confirmed that place (`LogicalIncreaseXminForSlot`, `LogicalConfirmReceivedLocation`). So the number divides the rows of
//! a table into those that Kafka has for certain and those that have to be looked for, and it is in each checkpoint.

use std::time::Duration;

use pg_replication::pgoutput::Xid;
use pg_replication::{Client, ConnectOptions, SlotName, connect_client};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What lies between two looks may have to be compared with Kafka one by one, should the slot be lost.
const INTERVAL: Duration = Duration::from_secs(10);

/// SQLSTATE of a connection that is ended by an administrator or a shutdown.
const ADMIN_SHUTDOWN: &str = "57P01";

/// Looks until it is dropped.
#[derive(Debug)]
pub(super) struct ServerWatch {
    horizon: watch::Receiver<Option<Xid>>,
    stopping: CancellationToken,
    /// Ends with this value.
    _task: JoinSet<()>,
}

impl ServerWatch {
    /// To be started when the slot is held: before, somebody else could move it.
    pub(super) fn start(options: ConnectOptions, slot: SlotName) -> Self {
        let (sender, horizon) = watch::channel(None);
        let stopping = CancellationToken::new();
        let told = stopping.clone();
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                let error = watch_server(&options, &slot, &sender).await;
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

/// Looks until the connection ends.
async fn watch_server(
    options: &ConnectOptions,
    slot: &SlotName,
    horizon: &watch::Sender<Option<Xid>>,
) -> pg_replication::Error {
    let mut client = match connect_client(options).await {
        Ok(client) => client,
        Err(error) => return error,
    };
    loop {
        match look(&client, slot).await {
            Ok(Some(xid)) => {
                horizon.send_replace(Some(xid));
            }
            Ok(None) => {}
            Err(error) => return error,
        }
        tokio::select! {
            error = client.ended() => return error,
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

async fn look(client: &Client, slot: &SlotName) -> Result<Option<Xid>, pg_replication::Error> {
    let row = client
        .query_opt(
            "SELECT catalog_xmin::text FROM pg_catalog.pg_replication_slots WHERE slot_name = $1::text::name",
            &[&slot.as_str()],
        )
        .await?;
    let text = row.and_then(|row| row.get::<_, Option<String>>(0));
    Ok(text.and_then(|text| text.parse().ok()).map(Xid))
}
