//! Order of a key through any number of failures, in Kafka alone.
//!
//! A record that failed goes into a redirect topic, `{topic}.{group}.redirect`, and every later record of its key behind
//! it, until they are dealt with. Other keys go on as if nothing had been, and a key without a failure costs nothing.
//! It is for consumers that have no PostgreSQL; those that have one are better served by lanes there, which any member
//! can work on.
//!
//! * [`RedirectTopic`] is all of it for a runner of consumer groups: a [`KeyOrder`](cdc_event::KeyOrder).
//! * [`DeadHead`] says what becomes of the records behind one that is given up.
//! * [`Log`] are the steps below it; each is done as a whole or not at all.
//!
//! # How
//!
//! The well-known pattern has two topics, one with the records and one with the locks, and must keep them equal. Here one
//! compacted topic has both: a record in it is the payload, the lock and the state of its attempts at once, so that there is
//! nothing between two writes for a crash to hit. Its key is where the record was first read; to write it again changes
//! nothing, and one tombstone frees one record only.
//!
//! The member that has a partition of the source is the only one that writes to its part of the redirect topic. It writes
//! in transactions whose id is the partition's. Whoever takes the partition over opens that id: that fences the former
//! owner, even one that was only asleep, and ends what it left open. Then it reads its partition to the end, and only after
//! that is anything admitted. So "this key does not wait" is never a guess.
//!
//! Which of its partitions belongs to one of the source is decided at the first use, and stands in it. Partitions that it
//! gets later stay empty: nothing that waits is looked for where it is not.
//!
//! A record that was dealt with stays marked as long as it may be read again, that is until the group's offset has passed
//! it. Only the last one of a key needs the mark.
//!
//! Records of a key are tried in their place, the first until it is dealt with: nothing is appended behind those that wait
//! for it. Payloads are held in memory up to a bound, and read again when their turn comes.
//!
//! # What is promised
//!
//! Per key, the handler succeeds in the order of the partition, and nothing is left out but what is given up. A record may
//! be handled more than once: after a crash between the handler's success and the word about it. It is then handled again
//! before any later record of its key, or together with all later ones that were handled already.
//!
//! What it does not do: when the source gets more partitions, keys that move to another one while they wait are not
//! kept in order with what comes there. Let them be dealt with before; whoever has keys that wait since then says so. Each
//! partition that is owned costs two transactional producers.
//!
//! ```no_run
//! use cdc_kafka::KafkaOptions;
//! use redirect_topic::{Creation, DeadHead, RedirectSettings, RedirectTopic};
//!
//! let creation = Creation { replication_factor: -1 };
//! let settings = RedirectSettings::new(DeadHead::Hold);
//! let order = RedirectTopic::new(KafkaOptions::new("localhost:9092"), Some(creation), settings);
//! # drop(order);
//! ```

mod ask;
mod drain;
mod entry_id;
mod error;
mod fact;
mod follow;
mod guard;
mod index;
mod kafka_log;
mod key_order;
mod known;
mod lane;
mod lane_run;
mod layout;
mod log;
mod memory;
mod metric;
mod opening;
mod partition;
mod plan;
mod registry;
mod remainder;
mod settings;
mod tell;
mod writer;

pub use cdc_event::DeadHead;

pub use error::Error;
pub use index::Backlog;
pub use kafka_log::{Creation, KafkaLog, KafkaWriter, redirect_topic};
pub use key_order::RedirectTopic;
pub use log::{AppendError, Log, LogRecord, LogWriter, SourcePartition};
pub use metric::{describe as describe_metrics, show as show_metrics};
pub use settings::{RedirectLimits, RedirectSettings};
