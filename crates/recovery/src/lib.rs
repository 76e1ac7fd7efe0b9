//! Runs any handler over topics: order per key, retries, dead letters, outages.
//!
//! * [`Runner`] runs a [`Handler`](cdc_event::Handler) over the topics of a group, as [`Settings`] say.
//! * [`ManualHandler`] is a handler that says later, and from elsewhere, that a record is done.
//! * [`RetryPlan`] says how often and how long a record is tried, and what is different for some error codes.
//! * [`Names`] are the topics that belong to a group: sources, retry topics, dead letters.
//! * [`Ordering`] says whether the records of a key wait for one that failed.
//! * [`LastResort`] keeps what even the dead letters do not take.
//! * [`Status`] tells how things are; [`describe_metrics`] what is measured.
//! * [`note_renewal`] tells of consumers whose client was replaced.
//!
//! What a record carries from topic to topic is told by the crate `failure-headers`.

mod breaker;
mod error;
mod last_resort;
mod manual;
mod metric;
mod names;
mod ordering;
mod partition;
mod plan;
mod progress;
mod publisher;
mod renewal;
mod runner;
mod settings;
mod status;
mod topology;
mod work;

pub use error::{Disposition, Error, HandlerStopped};
pub use last_resort::{Kept, LastResort, RefusedLetter};
pub use manual::{Acknowledgement, Manual, ManualHandler};
pub use metric::describe_metrics;
pub use names::{
    DeadLetterTemplate, InvalidNames, InvalidTemplate, InvalidTopicName, Names, RetryTemplate,
    SourceNames,
};
pub use ordering::Ordering;
pub use plan::{BlockingRetry, CodePolicy, CodeRetry, InvalidPlan, Jitter, RetryPlan, Tier};
pub use renewal::note_renewal;
pub use runner::Runner;
pub use settings::{BreakerSettings, Creation, InvalidSettings, Settings};
pub use status::{Snapshot, Status};
