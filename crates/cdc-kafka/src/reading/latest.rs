//! The newest value of a key.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rdkafka::message::{BorrowedMessage, Message};

use super::reader::{Reader, Span, Wanted};
use crate::error::Error;
use crate::options::KafkaOptions;

/// What a compacted topic says of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Latest {
    /// The newest value.
    Value(Vec<u8>),
    /// The key was never there, or its newest record is a tombstone; but one of those that would do in its place is.
    Other {
        /// That key.
        key: Vec<u8>,
        /// Its newest value.
        value: Vec<u8>,
    },
    /// None of them.
    Absent,
    /// There is no such topic.
    MissingTopic,
}

/// Offsets of each partition that are looked at first; then ten times as many, and so on.
const FIRST_WINDOW: i64 = 10_000;

/// The newest committed value of a key, of all that was written to the topic before the call; if it has none, that of the
/// newest record whose key `other` accepts, which costs nothing: all of the topic has been read by then.
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
    other: impl Fn(&[u8]) -> bool + Send + 'static,
    deadline: Duration,
) -> Result<Latest, Error> {
    let (options, topic, key) = (options.clone(), topic.to_owned(), key.to_owned());
    let wanted = Wanted::Until(Instant::now() + deadline);
    tokio::task::spawn_blocking(move || find(&Reader::new(options, wanted)?, &topic, &key, other))
        .await
        .map_err(|_| Error::Abandoned)?
}

fn find(
    reader: &Reader,
    topic: &str,
    key: &[u8],
    other: impl Fn(&[u8]) -> bool,
) -> Result<Latest, Error> {
    let Some(mut spans) = reader.spans(topic)? else {
        return Ok(Latest::MissingTopic);
    };
    let mut seen = Seen::default();
    let mut window = FIRST_WINDOW;
    while spans.iter().any(|span| span.start < span.end) {
        let tails: Vec<Span> = spans.iter().map(|span| span.tail(window)).collect();
        // Within a partition the offset decides; the clocks of writers may differ.
        let mut newest: HashMap<(i32, Vec<u8>), Found> = HashMap::new();
        reader.read(topic, &tails, |message| {
            if let Some(found) = message.key()
                && (found == key || other(found))
            {
                let place = (message.partition(), found.to_vec());
                newest.insert(place, Found::in_(message));
            }
            ControlFlow::Continue(())
        })?;
        seen.add(newest);
        if let Some(Found { value, .. }) = seen.0.get_mut(key)
            && let Some(value) = value.take()
        {
            return Ok(Latest::Value(value));
        }
        for (span, tail) in spans.iter_mut().zip(tails) {
            span.end = tail.start;
        }
        window = window.saturating_mul(10);
    }
    Ok(seen.newest())
}

struct Found {
    timestamp: Option<i64>,
    /// `None` is a tombstone.
    value: Option<Vec<u8>>,
}

/// The newest record of each key, of all that has been read from the end of the topic.
#[derive(Default)]
struct Seen(HashMap<Vec<u8>, Found>);

impl Found {
    fn in_(message: &BorrowedMessage<'_>) -> Self {
        Self {
            timestamp: message.timestamp().to_millis(),
            value: message.payload().map(<[u8]>::to_vec),
        }
    }
}

impl Seen {
    /// Adds what stands in each partition before all that has been added.
    fn add(&mut self, before: HashMap<(i32, Vec<u8>), Found>) {
        let mut window: HashMap<Vec<u8>, Found> = HashMap::new();
        for ((_, key), found) in before {
            match window.get(&key) {
                Some(known) if known.timestamp >= found.timestamp => {}
                _ => drop(window.insert(key, found)),
            }
        }
        for (key, found) in window {
            self.0.entry(key).or_insert(found);
        }
    }

    fn newest(self) -> Latest {
        let with_values = self.0.into_iter().filter_map(|(key, found)| {
            let timestamp = found.timestamp;
            Some((timestamp, key, found.value?))
        });
        match with_values.max_by_key(|(timestamp, ..)| *timestamp) {
            Some((_, key, value)) => Latest::Other { key, value },
            None => Latest::Absent,
        }
    }
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
