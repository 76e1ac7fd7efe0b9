//! Order of a key through any number of failures.
//!
//! A record that failed goes into the lane of its key, and every later record of the key behind it, until the lane is
//! empty. Other keys go on as if nothing had been, and a key without a failure costs nothing. Lanes live in
//! PostgreSQL ([`PostgresLanes`]); a record is stored there before its offset is.
//!
//! * [`LaneGuard`] is the consumer's side, one for each assigned partition: whose turn it is, and where a record goes
//!   that failed. A newer assignment fences the older one.
//! * [`LaneWorker`] is the other side, in any process: it runs a [`Handler`](cdc_event::Handler) over lanes that are
//!   due, the head of each until it succeeds or is given up, and only then the next. [`ClaimedLane`] is the same by
//!   hand.
//! * [`DeadHead`] says what becomes of the records behind one that is given up;
//!   [`operate`](PostgresLanes::operate) is what an operator does about it.
//! * [`LaneStore`] are the steps below both; each is done as a whole or not at all.
//!
//! What a lane knows of offsets holds as long as they mean the same. When the topic is made anew, or the group is set
//! back on purpose, see [`reset_offsets`](PostgresLanes::reset_offsets). When the topic gets more partitions, keys that
//! are open stay in order; what was read from the old partition and from the new one without a failure has no order
//! in Kafka either.
//!
//! What is promised: per key, the handler succeeds in the order of the partition, and nothing is left out but what is
//! given up. A record may be handled more than once: after a crash between the handler's success and the word about
//! it, either the offset or the row. It is then handled again before any later record of its key, or together with
//! all later ones that were handled already.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use cdc_event::{Attempt, Handler, Record};
//! use ordered_lanes::{Admission, Assignment, GuardLimits, LaneGuard, LaneRetries, PostgresLanes, remainders};
//! use pg_replication::ConnectOptions;
//!
//! # async fn example(handler: impl Handler, records: Vec<Record>, retries: LaneRetries, limits: GuardLimits)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! let lanes = Arc::new(PostgresLanes::connect(&ConnectOptions::parse("postgres://relay@localhost/app")?).await?);
//! let assignment = Assignment { group: "billing".into(), topic: "orders".into(), partition: 0, partition_count: 6 };
//! let guard = LaneGuard::take_over(lanes, assignment, None, limits).await?;
//! for record in &records {
//!     if guard.admit(record).await? == Admission::Process {
//!         if let Err(failure) = handler.handle(record, Attempt::FIRST).await {
//!             guard.park(record, &remainders(failure, None, Attempt::FIRST, &retries)?).await?;
//!         }
//!     }
//!     // … from here on the offset may be stored
//! }
//! # Ok(())
//! # }
//! ```

mod assignment;
mod claimed;
mod error;
mod guard;
mod known;
mod lane_id;
mod metric;
mod postgres;
mod remainder;
mod schedule;
mod store;
mod worker;

pub use assignment::{Assignment, Epoch, Ownership};
pub use claimed::{ClaimedLane, claim_due};
pub use error::{Disposition, Error};
pub use guard::{Admission, GuardLimits, LaneGuard};
pub use lane_id::LaneId;
pub use metric::{describe as describe_metrics, show as show_metrics};
pub use postgres::{Action, DeadEvent, LaneStats, Operated, PostgresLanes};
pub use remainder::{DeadHead, EventStatus, Fate, Remainder};
pub use schedule::{LaneRetries, Schedule, remainders};
pub use store::{
    Appended, Head, KnownLane, LaneEventId, LaneStore, Lease, ParkedEvent, Rest, TakenOver,
};
pub use worker::{LaneWorker, WorkerError, WorkerSettings};
