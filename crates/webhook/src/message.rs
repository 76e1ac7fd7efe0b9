//! What an endpoint is told.

use std::time::SystemTime;

/// An event, as an endpoint gets to know it.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// The event's id: the same for every endpoint and every attempt.
    pub id: &'a str,
    /// The event's type, such as `order.paid`.
    pub kind: &'a str,
    /// When it happened. Years before 1970 and after 9999 are written as the nearest ones that can be.
    pub timestamp: SystemTime,
    /// Where it comes from, as a URI reference; [`Format::CloudEvents`](crate::Format::CloudEvents) alone says it.
    pub source: &'a str,
    /// Whom or what it is about.
    pub subject: Option<&'a str>,
    /// The payload: usually JSON; empty for none.
    pub data: &'a [u8],
}
