//! The newest value of a key.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rdkafka::message::Message;

use super::reader::{Reader, Span, Wanted};
use crate::error::Error;
use crate::options::KafkaOptions;

/// What a compacted topic says of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Latest {
    /// The newest value.
    Value(Vec<u8>),
    /// The key was never there, or its newest record is a tombstone.
    Absent,
    /// There is no such topic.
    MissingTopic,
}

/// Offsets of each partition that are looked at first; then ten times as many, and so on.
const FIRST_WINDOW: i64 = 10_000;

/// The newest committed value of a key, of all that was written to the topic before the call.
///
/// A topic that has not been compacted for long costs little: its tail is looked at first. Transactions that are
/// open at the call are waited for, whoever writes them. A key belongs to one partition; when partitions were added
/// and it stands in several, the record with the latest timestamp wins, of those that are found first.
///
/// Runs on a thread where blocking is allowed. Cancel safe: the reading ends by itself before the deadline.
///
/// # Errors
///
/// [`Error::Unreachable`] when it takes longer than `deadline`; [`Error::Topic`] when this client may not read it.
pub async fn latest(
    options: &KafkaOptions,
    topic: &str,
    key: &[u8],
    deadline: Duration,
) -> Result<Latest, Error> {
    let (options, topic, key) = (options.clone(), topic.to_owned(), key.to_owned());
    let wanted = Wanted::Until(Instant::now() + deadline);
    tokio::task::spawn_blocking(move || find(&Reader::new(options, wanted)?, &topic, &key))
        .await
        .map_err(|_| Error::Abandoned)?
}

fn find(reader: &Reader, topic: &str, key: &[u8]) -> Result<Latest, Error> {
    let Some(mut spans) = reader.spans(topic)? else {
        return Ok(Latest::MissingTopic);
    };
    let mut window = FIRST_WINDOW;
    while spans.iter().any(|span| span.start < span.end) {
        let tails: Vec<Span> = spans.iter().map(|span| span.tail(window)).collect();
        // Within a partition the offset decides; the clocks of writers may differ.
        let mut newest: HashMap<i32, Found> = HashMap::new();
        reader.read(topic, &tails, |message| {
            if message.key() == Some(key) {
                let found = Found {
                    timestamp: message.timestamp().to_millis(),
                    value: message.payload().map(<[u8]>::to_vec),
                };
                newest.insert(message.partition(), found);
            }
            ControlFlow::Continue(())
        })?;
        let newest = newest.into_values().max_by_key(|found| found.timestamp);
        if let Some(Found { value, .. }) = newest {
            return Ok(value.map_or(Latest::Absent, Latest::Value));
        }
        for (span, tail) in spans.iter_mut().zip(tails) {
            span.end = tail.start;
        }
        window = window.saturating_mul(10);
    }
    Ok(Latest::Absent)
}

struct Found {
    timestamp: Option<i64>,
    value: Option<Vec<u8>>,
}

impl Span {
    /// The last offsets of the span, at most `window`.
    fn tail(self, window: i64) -> Self {
        Self {
            start: self.start.max(self.end.saturating_sub(window)),
            ..self
        }
    }
}
