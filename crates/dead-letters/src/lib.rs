//! Dead letters become rows of the failed-event store, are told once, and go back to the group that failed.
//!
//! * [`Ingest`] is a [`Handler`](cdc_event::Handler) for dead-letter topics: it stores each record, whoever wrote it, and
//!   publishes nothing. Its [`Writer`] stores many in one round trip.
//! * [`Alerts`] tells failures through an [`AlertSink`], once for each reason and window, however many instances look.
//! * [`Resent`] is an event as a replay sends it: a stored one, or one that an endpoint missed.
//!
//! A runner gives [`Ingest`] records with all their headers, those that retries add too: they say what failed. It tries
//! again for ever what is not stored; there is no dead letter of a dead letter.

mod alerts;
mod ingest;
mod metric;
mod resent;

pub use alerts::{Alert, AlertError, AlertPlan, AlertSink, Alerts, WebhookSink};
pub use ingest::{Ingest, ReplayEntries, Writer};
pub use metric::describe;
pub use resent::Resent;
