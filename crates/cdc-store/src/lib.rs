//! What failed: events that could not be delivered, kept in PostgreSQL until somebody replays or discards them.
//!
//! * [`FailedEvents::record`] stores events, durably and each once, before they count as dealt with.
//! * [`FailedEvents::claim`] gives them out again, to one replay at a time; the [`Claim`] is what settles them.
//! * [`FailedEvents::list`], [`get`](FailedEvents::get) and [`stats`](FailedEvents::stats) show them.
//! * [`FailedEvents::claim_alerts`] says what is to be told, to one instance of many.
//!
//! The tables are those of `sql/V4__failed_event.sql` and `sql/V5__failed_event_part.sql`. They serve the relay, which
//! stores what Kafka refuses, and consumers, which store their dead letters.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use cdc_store::{FailedEvents, Filter, NewFailedEvent};
//! use pg_replication::ConnectOptions;
//!
//! # async fn example(failed: Vec<NewFailedEvent>) -> Result<(), Box<dyn std::error::Error>> {
//! let mut store = FailedEvents::connect(&ConnectOptions::parse("postgres://relay@localhost/app")?).await?;
//! store.record(&failed).await?; // from here on the source may move on
//!
//! let open = store.select(&Filter::default(), 100).await?;
//! let ids: Vec<_> = open.iter().map(|selected| selected.id).collect();
//! let claim = store.claim(&ids, 1 << 20, Duration::from_secs(60), "an operator").await?;
//! // … once each of `claim.events` is acknowledged elsewhere:
//! store.replayed(&claim, &ids).await?;
//! # Ok(())
//! # }
//! ```

mod error;
mod error_report;
mod failed_event;
mod failed_events;
mod filter;
mod fingerprint;
mod origin;
mod record;
mod status;
mod text;

pub use cdc_event::KafkaPosition;
pub use error::Error;
pub use error_report::ErrorReport;
pub use failed_event::{
    Action, FailedEvent, FailedEventDetails, FailedEventId, NewFailedEvent, ReplacedPayload,
};
pub use failed_events::{
    AlertClaim, AlertSettings, Claim, ClaimedEvent, FailedEvents, Group, ListPlace, Selected,
    Stats, StatusCount,
};
pub use filter::Filter;
pub use fingerprint::Fingerprint;
pub use origin::{Origin, Source};
pub use record::{Contents, Target};
pub use status::{Status, UnknownStatus};
