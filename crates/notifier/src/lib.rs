//! Sends events to the webhook endpoints that subscribed to them, each event to each endpoint once.
//!
//! * [`Notifier`] is a [`Handler`](cdc_event::Handler): a record goes in, and what failed comes out endpoint by endpoint.
//! * [`Endpoints`] adds, lists, changes, tests, enables, disables and removes endpoints.
//! * [`UntoldNews`] keeps what people are to hear of endpoints until they have heard it.
//! * [`Deliveries`] shows what is in doubt or was missed, settles it, and forgets what is old.
//!
//! The tables are those of `sql/V7__notifier.sql` and what later migrations add to them.
//!
//! # What happens when
//!
//! A delivery is claimed in PostgreSQL right before it is sent, and what came of it is written down right after, before
//! anything else is done about it. So it is known, after a crash at any point, what may have been sent: a claim whose
//! lease has ended. An endpoint of [`Guarantee::AtLeastOnce`] then gets it again with the same `webhook-id`; for one of
//! [`Guarantee::AtMostOnce`] it is in doubt, is not sent again, and somebody has to look.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use notifier::{NoAlerts, Notifier, SecretKeys, Settings};
//! use pg_replication::ConnectOptions;
//! use webhook::Client;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let options = ConnectOptions::parse("postgres://notifier@localhost/app")?;
//! let client = Client::new(webhook::Settings::default())?;
//! let settings = Settings::default();
//! let notifier = Notifier::start(&options, client, SecretKeys::default(), Arc::new(NoAlerts), settings).await?;
//! // … run it over the topics, then:
//! notifier.close(std::time::Duration::from_secs(20)).await;
//! # Ok(())
//! # }
//! ```

mod alert;
mod batch;
mod closings;
mod deliveries;
mod delivery;
mod directory;
mod endpoint;
mod endpoints;
mod error;
mod event;
mod gate;
mod health;
mod in_flight;
mod lanes;
mod metric;
mod news;
mod notifier;
mod outcome;
mod secret_keys;
mod session;
mod settings;
mod waits;

pub use alert::{Alerts, DisabledReason, NoAlerts, Warning};
pub use deliveries::{
    AttemptFilter, AttemptPlace, Deliveries, Delivery, DeliveryPlace, InvalidStatuses, MissedCount,
    MissedEvent, MissedFilter, PastAttempt, Resolution, Statuses,
};
pub use delivery::{DeliveryState, UnknownDeliveryState};
pub use endpoint::{EndpointId, EndpointState, Guarantee, Limits, UnknownGuarantee};
pub use endpoints::{
    ChangedEndpoint, EndpointChange, EndpointInfo, Endpoints, Missed, NewEndpoint, RemovedEndpoint,
    Subscription, TestResult, Undelivered,
};
pub use error::Error;
pub use event::event_id;
pub use news::{News, NewsKind, UntoldNews};
pub use notifier::Notifier;
pub use secret_keys::{SecretError, SecretKeys};
pub use settings::{AttemptLog, Settings};
