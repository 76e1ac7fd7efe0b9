//! Dead letters, and what stores them.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use cdc_event::{Attempt, ErrorCode, Failure, Handler, Headers, KafkaPosition, PartId, Record};
use dead_letters::{Ingest, ReplayEntries, Writer};
use failure_headers::{Failed, FailureReport, dead_letter};
use tokio::task::JoinSet;

use crate::database::Database;

pub(crate) const TIMESTAMP: i64 = 1_700_000_000_123;

/// The retry entries of the groups that run here.
#[derive(Debug)]
pub(crate) struct Entries;

impl ReplayEntries for Entries {
    fn entry(&self, group: &str, topic: &str) -> Option<String> {
        (group == "billing").then(|| format!("{topic}.{group}.retry-1"))
    }
}

/// An ingest with its writer.
pub(crate) struct Running {
    pub(crate) ingest: Ingest<Entries>,
    /// Ends the writer when it is dropped.
    _writer: JoinSet<()>,
}

impl Running {
    pub(crate) fn start(database: &Database) -> Self {
        let (ingest, writer) = Ingest::new(database.options().clone(), "billing", Entries);
        Self {
            ingest,
            _writer: spawned(writer),
        }
    }

    pub(crate) async fn store(&self, record: &Record) -> Result<(), Failure> {
        self.ingest.handle(record, Attempt::FIRST).await
    }
}

pub(crate) fn spawned(writer: Writer) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(writer.run());
    tasks
}

/// What failed at `offset` of `orders`, and how often it was tried.
pub(crate) fn letter_headers(
    topic: &str,
    offset: i64,
    attempts: u32,
    part: Option<&str>,
) -> Headers {
    let origin = KafkaPosition {
        topic: topic.into(),
        partition: 2,
        offset,
    };
    let part = part.map(|part| PartId::new(part).unwrap());
    let report = FailureReport {
        code: ErrorCode::from_static("webhook-status"),
        message: "the endpoint answered 500".into(),
        chain: vec!["first cause".into(), "second cause".into()],
        backtrace: Some("   0: main".into()),
    };
    let failed = Failed {
        group: "billing",
        origin: &origin,
        original_timestamp_ms: Some(TIMESTAMP),
        part: part.as_ref(),
        attempts: NonZeroU32::new(attempts).unwrap(),
        first_failed_at: first_failed_at(),
        report: &report,
        failed_event: None,
    };
    dead_letter(&own(), &failed)
}

/// The dead letter at `at` of what failed at `offset`.
pub(crate) fn letter(at: i64, offset: i64, attempts: u32) -> Record {
    record(at, letter_headers("orders", offset, attempts, None))
}

/// The record at `at` of a dead-letter topic.
pub(crate) fn record(at: i64, headers: Headers) -> Record {
    Record {
        origin: KafkaPosition {
            topic: "orders.billing.DLT".into(),
            partition: 2,
            offset: at,
        },
        part: None,
        key: Some(b"42".to_vec()),
        value: Some(b"{\"n\":1}".to_vec()),
        headers,
        timestamp_ms: Some(TIMESTAMP + 1000),
    }
}

pub(crate) fn own() -> Headers {
    let mut headers = Headers::new();
    headers.push("id", Some(b"e1".to_vec()));
    headers.push("null", None);
    headers.push("bytes", Some(vec![0xff, 0]));
    headers
}

/// Two hours ago, in whole milliseconds.
pub(crate) fn first_failed_at() -> SystemTime {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs() - 7200)
}
