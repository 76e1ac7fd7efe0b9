//! Where records wait: a database with lanes.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use cdc_event::{Headers, KafkaPosition};
use cdc_kafka::TopicConfig;
use failure_headers::{Failed, FailureReport, read_dead_letter, retry};
use ordered_lanes::{DeadHead, LaneSettings, OrderedLanes, PostgresLanes};
use recovery::Ordering;
use test_database::Database;

use crate::cluster::{self, DEADLINE, Sent};
use crate::subject::{FAILED, Subject, millis};

const MIGRATIONS: [&str; 4] = [
    include_str!("../../../../../sql/V4__failed_event.sql"),
    include_str!("../../../../../sql/V5__failed_event_part.sql"),
    include_str!("../../../../../sql/V6__lane.sql"),
    include_str!("../../../../../sql/V8__lane_delays.sql"),
];

/// A database of its own.
pub(crate) struct Kept {
    database: Database,
    policy: DeadHead,
    lanes: Arc<PostgresLanes>,
}

impl Kept {
    pub(crate) async fn new(policy: DeadHead) -> Self {
        let database = Database::create("recovery").await;
        database.execute("CREATE SCHEMA cdc").await;
        for migration in MIGRATIONS {
            database.execute(migration).await;
        }
        let lanes = Arc::new(PostgresLanes::connect(database.options()).await.unwrap());
        Self {
            database,
            policy,
            lanes,
        }
    }

    pub(crate) fn ordering(&self) -> Ordering {
        let settings = LaneSettings {
            lease: Duration::from_secs(2),
            poll: millis(20),
            ..LaneSettings::new(self.policy)
        };
        let (one, other) = (Arc::clone(&self.lanes), Arc::clone(&self.lanes));
        Ordering::Key(Arc::new(OrderedLanes::new(one, other, settings)))
    }

    pub(crate) async fn connect(&self) -> PostgresLanes {
        PostgresLanes::connect(self.database.options())
            .await
            .unwrap()
    }

    async fn count(&self, condition: &str) -> usize {
        let sql = format!("SELECT count(*) FROM cdc.lane_event WHERE {condition}");
        self.database.text(&sql).await.unwrap().parse().unwrap()
    }

    /// Records that wait, a held one too.
    pub(crate) async fn waiting(&self) -> usize {
        self.count("status IN ('open', 'held')").await
    }

    pub(crate) async fn statuses(&self) -> Vec<String> {
        let sql = "SELECT string_agg(status, ',' ORDER BY id) FROM cdc.lane_event";
        let text = self.database.text(sql).await.unwrap_or_default();
        text.split(',').map(str::to_owned).collect()
    }

    async fn until(&self, condition: &str, wanted: usize) {
        let waited = tokio::time::timeout(DEADLINE, async {
            while self.count(condition).await != wanted {
                tokio::time::sleep(millis(10)).await;
            }
        });
        let said = format!("never {wanted} with {condition}");
        waited.await.expect(&said);
    }

    pub(crate) async fn until_held(&self, wanted: usize) {
        self.until("status = 'held'", wanted).await;
    }

    pub(crate) async fn until_waiting(&self, wanted: usize) {
        self.until("status IN ('open', 'held')", wanted).await;
    }

    /// Nothing of a topic waits, whatever other topics leave here.
    pub(crate) async fn until_empty_of(&self, topic: &str) {
        let waits = format!("status IN ('open', 'held') AND origin_topic = '{topic}'");
        self.until(&waits, 0).await;
    }

    pub(crate) async fn until_empty(&self) {
        self.until_waiting(0).await;
    }

    /// Whatever waits for its time is due.
    pub(crate) async fn hurry(&self) {
        self.execute("UPDATE cdc.lane SET due_at = now() WHERE lease_token IS NULL AND events > 0")
            .await;
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.database.execute(sql).await;
    }

    /// A topic of the same name, without what was in it.
    pub(crate) async fn make_anew(&self, topic: &str) {
        cluster::delete(&[topic.to_owned()]);
        let gone = async {
            while cluster::partitions(topic).await.is_some() {
                tokio::time::sleep(millis(20)).await;
            }
        };
        cluster::soon(gone).await;
        cluster::create(topic, 1, TopicConfig::new()).await;
    }

    /// As the store of failed events sends it again, with another value.
    pub(crate) async fn replay(&self, subject: &Subject, letter: &Sent, value: &str) {
        let read = read_dead_letter(&letter.headers);
        let origin: KafkaPosition = read.origin.unwrap();
        let report = FailureReport {
            code: FAILED,
            message: "it did not work".to_owned(),
            chain: Vec::new(),
            backtrace: None,
        };
        let failed = Failed {
            group: &subject.settings.group,
            origin: &origin,
            original_timestamp_ms: read.original_timestamp_ms,
            part: read.part.as_ref(),
            attempts: read.attempts.unwrap_or(NonZeroU32::MIN),
            first_failed_at: std::time::SystemTime::now(),
            report: &report,
            failed_event: Some(1),
        };
        let headers: Headers = retry(&read.own, &failed, None);
        let sent = Sent {
            value: Some(value.as_bytes().to_vec()),
            headers,
            timestamp_ms: None,
            ..letter.clone()
        };
        cluster::send(&subject.retry_topic(1), &[sent]).await;
    }
}
