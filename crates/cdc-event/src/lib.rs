//! The language of the pipeline: event, position, headers, retry policy, watermark. Pure, no I/O.
//!
//! * What an event is called and where it stands in the stream: [`EventId`], [`Position`].
//! * What is safe to confirm upstream once deliveries complete in any order: [`Watermark`].
//! * How long to wait before the next attempt: [`RetryPolicy`], [`Backoff`].

mod event_id;
mod header;
mod position;
mod retry_policy;
mod watermark;

pub use event_id::{EmptyEventId, EventId};
pub use header::{Header, Headers};
pub use position::{ChangeIndex, Position};
pub use retry_policy::{Backoff, RetryPolicy};
pub use watermark::{Acknowledged, Sequence, Watermark};
