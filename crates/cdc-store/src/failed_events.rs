//! The store of failed events.

mod alerts;
mod claim;
mod correct;
mod discard;
mod list;
mod record;
mod row;
mod settle;
mod stats;

use pg_replication::{Client, ConnectOptions, connect_client};

use crate::error::Error;

pub use alerts::{AlertClaim, AlertSettings};
pub use claim::{Claim, ClaimedEvent};
pub use list::{ListPlace, Selected};
pub use stats::{Group, Stats, StatusCount};

/// The store of failed events: one session with its database.
///
/// A call after the connection was lost connects anew; the call during which it was lost fails, and its outcome is
/// unknown. Nothing here limits the time of a call: whoever needs a limit drops the future and the store with it,
/// since a session that does not answer stays so.
#[derive(Debug)]
pub struct FailedEvents {
    options: ConnectOptions,
    client: Client,
}

impl FailedEvents {
    /// Connects and looks whether the table is there and may be read.
    ///
    /// The tables are made by `cdc-relay init`. The session needs no more than ordinary SQL, so a pooler is fine.
    /// Dropping the future closes what is open.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`] when the server cannot be reached or refuses, [`Error::NoTable`].
    pub async fn connect(options: &ConnectOptions) -> Result<Self, Error> {
        let client = connect_client(options)
            .await
            .map_err(Error::while_("connect to the store of failed events"))?;
        client
            .query_typed("SELECT FROM cdc.failed_event LIMIT 0", &[])
            .await
            .map_err(Error::while_("read the store of failed events"))?;
        Ok(Self {
            options: options.clone(),
            client,
        })
    }

    /// A session that was alive a moment ago.
    async fn client(&mut self) -> Result<&Client, Error> {
        if self.client.is_closed() {
            self.client = connect_client(&self.options)
                .await
                .map_err(Error::while_("connect to the store of failed events again"))?;
        }
        Ok(&self.client)
    }
}
