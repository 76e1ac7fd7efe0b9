//! A topic of the test's own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use cdc_kafka::{HeaderRef, KafkaOptions, ScannedRecord, TopicConfig, TopicSettings, Topics, scan};
use tokio_util::sync::CancellationToken;

use crate::stage::SOON;

/// A topic with one partition, deleted in the end.
pub(crate) struct Topic(pub(crate) String);

/// A record as a consumer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) key: Option<String>,
    pub(crate) value: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
}

/// The address of the shared Kafka.
pub(crate) fn brokers() -> String {
    const NAME: &str = "KAFKA_BROKERS";
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.services/env");
    let from_file = || {
        let text = std::fs::read_to_string(file).ok()?;
        text.lines()
            .find_map(|line| Some(line.strip_prefix(NAME)?.strip_prefix('=')?.to_owned()))
    };
    std::env::var(NAME)
        .ok()
        .or_else(from_file)
        .unwrap_or_else(|| panic!("no {NAME}: run `make services-up`"))
}

impl Topic {
    pub(crate) async fn create(&self, config: TopicConfig) {
        let settings = TopicSettings {
            partitions: 1,
            replication_factor: 1,
        };
        Topics::new(KafkaOptions::new(brokers()), SOON)
            .ensure_with(std::slice::from_ref(&self.0), settings, config)
            .await
            .unwrap();
    }

    /// What it has.
    pub(crate) async fn received(&self) -> Vec<Received> {
        let found = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&found);
        let visit = move |record: ScannedRecord<'_>| seen.lock().unwrap().push(received(record));
        let topics = std::slice::from_ref(&self.0);
        let options = KafkaOptions::new(brokers());
        scan(&options, topics, CancellationToken::new(), visit)
            .await
            .unwrap();
        std::mem::take(&mut *found.lock().unwrap())
    }

    /// By the protocol itself: the crates know no other way to delete a topic.
    fn delete(&self) -> std::io::Result<()> {
        const DELETE_TOPICS: i16 = 20;
        const VERSION: i16 = 1;
        const TIMEOUT_MS: i32 = 10_000;
        let text = |text: &str| {
            let length = i16::try_from(text.len()).unwrap().to_be_bytes();
            [&length[..], text.as_bytes()].concat()
        };
        let request = [
            &DELETE_TOPICS.to_be_bytes()[..],
            &VERSION.to_be_bytes(),
            &1_i32.to_be_bytes(),
            &text("it"),
            &1_i32.to_be_bytes(),
            &text(&self.0),
            &TIMEOUT_MS.to_be_bytes(),
        ]
        .concat();
        let mut broker = TcpStream::connect(brokers().split(',').next().unwrap_or_default())?;
        broker.set_read_timeout(Some(SOON))?;
        broker.write_all(&i32::try_from(request.len()).unwrap().to_be_bytes())?;
        broker.write_all(&request)?;
        broker.read_exact(&mut [0; 4])
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        // What is left behind is no reason to fail the test that used it.
        drop(self.delete());
    }
}

fn received(record: ScannedRecord<'_>) -> Received {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let header = |header: HeaderRef<'_>| (header.name.to_owned(), text(header.value.unwrap()));
    Received {
        key: record.key().map(text),
        value: record.value().map(text),
        headers: record.headers().map(header).collect(),
    }
}
