//! Speaks PostgreSQL's streaming replication protocol: session, slot, pgoutput decoding and a stream with
//! explicit acknowledgement.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use pg_replication::{
//!     ConnectOptions, PublicationName, ReplicationStream, Session, SlotName, StreamEvent, StreamOptions,
//! };
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let options = ConnectOptions::parse("postgres://relay@localhost/app")?;
//! let session = Session::connect(&options).await?;
//! let mut stream = ReplicationStream::start(
//!     session,
//!     &StreamOptions {
//!         slot: SlotName::new("orders")?,
//!         publications: vec![PublicationName::new("orders")?],
//!         messages: false,
//!         status_interval: Duration::from_secs(1),
//!         silence_limit: Duration::from_secs(30),
//!     },
//! )
//! .await?;
//! loop {
//!     while let Some(event) = stream.try_next()? {
//!         match event {
//!             StreamEvent::Begin(_) | StreamEvent::Change(_) => {}
//!             StreamEvent::Commit(_, token)
//!             | StreamEvent::Standalone(_, token)
//!             | StreamEvent::Idle { token, .. } => {
//!                 // … once everything before it is durable elsewhere:
//!                 stream.acknowledge(token);
//!             }
//!         }
//!     }
//!     stream.fill().await?;
//! }
//! # }
//! ```

mod backend;
mod body;
mod copy;
mod framed;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod pgoutput;
mod protocol_error;
mod server_error;

mod client;
mod connect;
mod error;
mod identity;
mod options;
mod session;
mod slot;

mod progress;
mod stream;

pub use client::{Client, connect_client};
pub use connect::{AuthenticationError, TEXT_OUTPUT, TlsError};
pub use copy::PgTimestamp;
pub use error::{Attempt, Disposition, Error};
pub use identity::{
    InvalidTimelineHistory, ParseIdentityError, ServerVersion, SystemId, SystemIdentity,
    TimelineHistory, TimelineId, TimelineSwitch,
};
pub use options::{
    ClientCertificate, ConnectOptions, Host, InvalidOptions, SslMode, TlsOptions, TrustedRoots,
};
pub use progress::CommitToken;
pub use protocol_error::ProtocolError;
pub use server_error::{ServerError, Severity, SqlState};
pub use session::{InvalidPublicationName, PublicationName, Row, Session};
pub use session::{quote_ident, quote_literal};
pub use slot::{CreateSlot, CreatedSlot, InvalidSlotName, PLUGIN, SlotName, SnapshotAction};
pub use stream::{Filled, ReplicationStream, StreamEvent, StreamOptions};
