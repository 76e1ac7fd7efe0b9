//! Order of a key through any number of failures.
//!
//! A record that failed goes into the lane of its key, and every later record of the key behind it, until the lane is
//! empty. Other keys go on as if nothing had been, and a key without a failure costs nothing. Lanes live in
//! PostgreSQL ([`PostgresLanes`]); a record is stored there before its offset is.
//!
//! * [`OrderedLanes`] is all of it for a runner of consumer groups: a [`KeyOrder`](cdc_event::KeyOrder).
//! * [`LaneGuard`] is the consumer's side, one for each assigned partition: whose turn it is, and where a record goes
//!   that failed. A newer assignment fences the older one.
//! * [`LaneWorker`] is the other side, in any process: it has lanes that are due dealt with, the head of each until it
//!   succeeds or is given up, and only then the next. [`ClaimedLane`] is the same by hand.
//! * [`DeadHead`] says what becomes of the records behind one that is given up;
//!   [`operate`](PostgresLanes::operate) is what an operator does about it.
//! * [`LaneStore`] are the steps below both; each is done as a whole or not at all.
//!
//! What a lane knows of offsets holds as long as they mean the same. A topic that was made anew is found by its being
//! shorter; when the group is set back on purpose, see [`reset_offsets`](PostgresLanes::reset_offsets). When the topic
//! gets more partitions, keys that are open stay in order; what was read from the old partition and from the new one
//! without a failure has no order in Kafka either.
//!
//! What is promised: per key, the handler succeeds in the order of the partition, and nothing is left out but what is
//! given up. A record may be handled more than once: after a crash between the handler's success and the word about
//! it, either the offset or the row. It is then handled again before any later record of its key, or together with
//! all later ones that were handled already.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use ordered_lanes::{DeadHead, LaneSettings, OrderedLanes, PostgresLanes};
//! use pg_replication::ConnectOptions;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let store = ConnectOptions::parse("postgres://relay@localhost/app")?;
//! let (partitions, workers) = tokio::try_join!(PostgresLanes::connect(&store), PostgresLanes::connect(&store))?;
//! let settings = LaneSettings::new(DeadHead::Hold);
//! let lanes = OrderedLanes::new(Arc::new(partitions), Arc::new(workers), settings);
//! # drop(lanes);
//! # Ok(())
//! # }
//! ```

mod assignment;
mod claimed;
mod error;
mod guard;
mod held;
mod key_order;
mod known;
mod lane_id;
mod metric;
mod postgres;
mod remainder;
mod store;
mod worker;

pub use cdc_event::DeadHead;

pub use assignment::{Assignment, Epoch, Ownership};
pub use claimed::{ClaimedLane, claim_due};
pub use error::{Disposition, Error};
pub use guard::{GuardLimits, LaneGuard};
pub use key_order::{LaneSettings, OrderedLanes};
pub use lane_id::LaneId;
pub use metric::{describe as describe_metrics, show as show_metrics};
pub use postgres::{Action, DeadEvent, LaneStats, Operated, PostgresLanes};
pub use remainder::{EventStatus, Remainder};
pub use store::{
    Appended, KnownLane, LaneEventId, LaneStore, Lease, Next, ParkedEvent, Rest, TakenOver,
};
pub use worker::{LaneWorker, WorkerError, WorkerSettings};
