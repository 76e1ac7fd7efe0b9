//! An event as it is sent again.

use cdc_store::{ClaimedEvent, Origin};
use dead_letters::Resent;

/// What is sent of an event, and where to.
#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    pub(super) topic: &'a str,
    /// `None` lets the key decide.
    pub(super) partition: Option<i32>,
    /// The topic whose partitions the other has, should it have to be created.
    pub(super) source: Option<&'a str>,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) resent: Resent,
}

/// An event that can be sent again.
pub(super) trait Replayable {
    /// What is sent of it.
    fn outgoing(&self) -> Outgoing<'_>;
}

impl Replayable for ClaimedEvent {
    fn outgoing(&self) -> Outgoing<'_> {
        let source = match &self.origin {
            Origin::Consumer { record, .. } => Some(record.topic.as_str()),
            Origin::Relay { .. } => None,
        };
        Outgoing {
            topic: &self.target.topic,
            partition: self.target.partition,
            source,
            key: self.contents.key.as_deref(),
            value: self.contents.payload.as_deref(),
            resent: Resent::of(self),
        }
    }
}
