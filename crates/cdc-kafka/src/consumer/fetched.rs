//! A record as it was fetched.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cdc_event::Headers;
use rdkafka::message::{BorrowedMessage, Headers as _, Message};

use crate::record::{Offset, TimestampMillis};

/// A record of a partition, with everything that it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedRecord {
    /// Where it stands in its partition.
    pub offset: Offset,
    /// Its time, as its producer or broker set it; `None` when it has none.
    pub timestamp: Option<TimestampMillis>,
    /// The key; `None` is Kafka's null.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is Kafka's null.
    pub value: Option<Vec<u8>>,
    /// The headers, in order. One whose name is not UTF-8, which Kafka's own clients do not make, comes as
    /// [`UNREADABLE_HEADER`](Self::UNREADABLE_HEADER) without a value.
    pub headers: Headers,
}

impl FetchedRecord {
    /// Stands for the name of a header that cannot be read: U+FFFD.
    pub const UNREADABLE_HEADER: &str = "\u{FFFD}";

    /// Bytes of the key, the value, and names and values of the headers.
    #[must_use]
    pub fn size(&self) -> usize {
        let headers = self.headers.as_slice().iter();
        let headers: usize = headers
            .map(|header| header.name.len() + header.value.as_ref().map_or(0, Vec::len))
            .sum();
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len) + headers
    }

    pub(super) fn of(message: &BorrowedMessage<'_>) -> Self {
        Self {
            offset: Offset(message.offset()),
            timestamp: message.timestamp().to_millis().map(TimestampMillis),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: message.headers().map_or_else(Headers::new, read_headers),
        }
    }
}

fn read_headers(native: &rdkafka::message::BorrowedHeaders) -> Headers {
    let mut headers = Headers::new();
    for index in 0..native.count() {
        // rdkafka panics at a name that is not UTF-8, and has no other way to see the header.
        match catch_unwind(AssertUnwindSafe(|| native.get(index))) {
            Ok(header) => headers.push(header.key, header.value.map(<[u8]>::to_vec)),
            Err(_) => headers.push(FetchedRecord::UNREADABLE_HEADER, None),
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_it_holds() {
        let mut headers = Headers::new();
        headers.push("ab", Some(vec![0; 3]));
        headers.push("c", None);
        let record = FetchedRecord {
            offset: Offset(0),
            timestamp: None,
            key: Some(vec![0; 10]),
            value: Some(vec![0; 100]),
            headers,
        };
        assert_eq!(record.size(), 116);
    }
}
