//! The server's end of a session: when the network loses a connection, the server may believe in it for long, and the slot is
//! held for nobody.

use std::time::Duration;

use pg_replication::{ConnectOptions, Error, Session, SlotName, connect_client};
use tokio::time::timeout;

/// How long ending it may take. It is only a shortcut: the server gives up by itself.
const LIMIT: Duration = Duration::from_secs(5);

/// A server process, told by its start from a later one with the same number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Walsender {
    pid: i32,
    /// Seconds since the epoch, as the server writes them.
    started: String,
}

const OWN: &str = "SELECT pid, extract(epoch FROM backend_start) FROM pg_catalog.pg_stat_activity
                    WHERE pid = pg_catalog.pg_backend_pid()";

const END: &str = "
    SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
     WHERE pid = $1 AND extract(epoch FROM backend_start)::text = $2
       AND pid IN (SELECT active_pid FROM pg_catalog.pg_replication_slots WHERE slot_name = $3::text::name)";

impl Walsender {
    /// Who serves the session; `None` if the server does not say.
    pub(super) async fn of(session: &mut Session) -> Result<Option<Self>, Error> {
        let rows = session.simple_query(OWN).await?;
        let text = |column| rows.first().and_then(|row| row.get(column));
        let known = || {
            Some(Self {
                pid: text(0)?.parse().ok()?,
                started: text(1)?.to_owned(),
            })
        };
        Ok(known())
    }

    /// Ends it if it still holds the slot, and says whether it did.
    pub(super) async fn end(
        &self,
        options: &ConnectOptions,
        slot: &SlotName,
    ) -> Result<bool, Error> {
        let ended = async {
            let client = connect_client(options).await?;
            let row = client
                .query_opt(END, &[&self.pid, &self.started, &slot.as_str()])
                .await?;
            Ok(row.is_some_and(|row| row.get(0)))
        };
        timeout(LIMIT, ended).await.unwrap_or(Err(Error::TimedOut {
            doing: "end a lost connection's process",
            limit: LIMIT,
        }))
    }
}
