//! The language of the pipeline: event, position, headers, retry policy, watermark. Pure, no I/O.
//!
//! * What an event is called and where it stands in the stream: [`EventId`], [`Position`].
//! * What is safe to confirm upstream once deliveries complete in any order: [`Watermark`].
//! * How long to wait before the next attempt: [`RetryPolicy`], [`Backoff`].
//! * What a consumer is to its runner: [`Handler`] gets a [`Record`] and may answer with a [`Failure`].
//! * What keeps the order of a key through failures is to a runner: [`KeyOrder`].

mod event_id;
mod failure;
mod handler;
mod header;
mod kafka_position;
mod key_order;
mod position;
mod random;
mod record;
mod retry_policy;
mod watermark;

pub use event_id::{EmptyEventId, EventId};
pub use failure::{ErrorCode, FailedPart, Failure, HandlerError, PartDisposition};
pub use handler::{Attempt, Handler};
pub use header::{Header, Headers};
pub use kafka_position::KafkaPosition;
pub use key_order::{
    Admission, AssignedPartition, DeadHead, DrainError, Fate, Head, HeadHandler, KeyOrder, Later,
    NotDealt, OrderDisposition, OrderError, PartitionOrder, Replayed, Turn, Unfinished,
};
pub use position::{ChangeIndex, Position};
pub use random::{random_fraction, random_number};
pub use record::{InvalidPartId, PartId, Record};
pub use retry_policy::{Backoff, RetryPolicy};
pub use watermark::{Acknowledged, Sequence, Watermark};
