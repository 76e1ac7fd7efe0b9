//! Opens connections: one way for replication sessions and ordinary ones, host after host.

mod auth;
mod channel_binding;
mod exchange;
mod route;
mod socket;
mod startup;
mod stream;
mod tls;
mod verify;

use tokio_postgres::config::TargetSessionAttrs;

pub use self::auth::AuthenticationError;
pub(crate) use self::exchange::Exchange;
pub(crate) use self::route::{Route, Search};
pub use self::startup::TEXT_OUTPUT;
pub(crate) use self::startup::start;
pub(crate) use self::stream::Stream;
pub use self::tls::TlsError;
use crate::error::Error;

/// The query whose answer [`check_role`] judges. It sees standbys as well as `default_transaction_read_only`.
pub(crate) const ROLE_QUERY: &str = "SHOW transaction_read_only";

/// Whether a server that answers `read_only` to [`ROLE_QUERY`] is one that was asked for.
pub(crate) fn check_role(wanted: TargetSessionAttrs, read_only: Option<&str>) -> Result<(), Error> {
    match (wanted, read_only) {
        (TargetSessionAttrs::ReadWrite, Some("on")) => Err(Error::WrongRole {
            wanted: "read-write",
        }),
        (TargetSessionAttrs::ReadOnly, Some("off")) => Err(Error::WrongRole {
            wanted: "read-only",
        }),
        _ => Ok(()),
    }
}
