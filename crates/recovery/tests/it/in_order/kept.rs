//! Where records wait, whatever keeps their order.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use cdc_event::{Headers, KafkaPosition};
use cdc_kafka::TopicConfig;
use failure_headers::{Failed, FailureReport, read_dead_letter, retry};
use ordered_lanes::{DeadHead, LaneSettings, OrderedLanes, PostgresLanes};
use recovery::Ordering;
use redirect_topic::{Creation, KafkaLog, RedirectSettings, RedirectTopic, redirect_topic};
use serde_json::{Value, json};
use test_database::Database;

use super::faulty::{Faulty, Fuse};
use super::faulty_log::FaultyLog;

use crate::cluster::{self, DEADLINE, Sent};
use crate::subject::{FAILED, Subject, millis};

const MIGRATIONS: [&str; 6] = [
    include_str!("../../../../../sql/V4__failed_event.sql"),
    include_str!("../../../../../sql/V5__failed_event_part.sql"),
    include_str!("../../../../../sql/V6__lane.sql"),
    include_str!("../../../../../sql/V8__lane_delays.sql"),
    include_str!("../../../../../sql/V13__lane_part_due.sql"),
    include_str!("../../../../../sql/V14__lane_replay.sql"),
];

/// What keeps the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    /// Lanes in PostgreSQL.
    Lanes,
    /// A redirect topic in Kafka alone.
    Redirect,
}

/// Where records wait: a database of its own, or the redirect topic of each subject.
pub(crate) struct Kept {
    policy: DeadHead,
    place: Place,
}

enum Place {
    Lanes {
        database: Box<Database>,
        lanes: Arc<PostgresLanes>,
    },
    Redirect,
}

impl Kept {
    pub(crate) async fn new(backend: Backend, policy: DeadHead) -> Self {
        let place = match backend {
            Backend::Lanes => {
                let database = Database::create("recovery").await;
                database.execute("CREATE SCHEMA cdc").await;
                for migration in MIGRATIONS {
                    database.execute(migration).await;
                }
                let lanes = PostgresLanes::connect(database.options()).await.unwrap();
                let (database, lanes) = (Box::new(database), Arc::new(lanes));
                Place::Lanes { database, lanes }
            }
            Backend::Redirect => Place::Redirect,
        };
        Self { policy, place }
    }

    pub(crate) fn ordering(&self) -> Ordering {
        Ordering::Key(match &self.place {
            Place::Lanes { lanes, .. } => {
                let settings = LaneSettings {
                    lease: Duration::from_secs(2),
                    poll: millis(20),
                    ..LaneSettings::new(self.policy)
                };
                let (one, other) = (Arc::clone(lanes), Arc::clone(lanes));
                Arc::new(OrderedLanes::new(one, other, settings))
            }
            Place::Redirect => {
                let settings = redirect_settings(self.policy);
                let creation = Some(CREATION);
                Arc::new(RedirectTopic::new(cluster::options(), creation, settings))
            }
        })
    }

    /// The same in a form whose steps can be made to fail; one for each process.
    pub(crate) async fn faulty(&self, fuse: &Arc<Fuse>) -> Ordering {
        let fuse = Arc::clone(fuse);
        Ordering::Key(match &self.place {
            Place::Lanes { database, .. } => {
                let lanes = PostgresLanes::connect(database.options()).await.unwrap();
                let store = Arc::new(Faulty::with(Arc::new(lanes), fuse));
                let settings = LaneSettings {
                    lease: millis(400),
                    poll: millis(10),
                    ..LaneSettings::new(self.policy)
                };
                Arc::new(OrderedLanes::new(Arc::clone(&store), store, settings))
            }
            Place::Redirect => {
                let log = FaultyLog::new(KafkaLog::new(cluster::options(), Some(CREATION)), fuse);
                let settings = redirect_settings(self.policy);
                Arc::new(RedirectTopic::with_log(Arc::new(log), settings))
            }
        })
    }

    async fn counted(&self, subject: &Subject, held_only: bool) -> usize {
        match &self.place {
            Place::Lanes { database, .. } => {
                let statuses = if held_only {
                    "'held'"
                } else {
                    "'open', 'held'"
                };
                let topic = &subject.topic;
                let sql = format!(
                    "SELECT count(*) FROM cdc.lane_event WHERE status IN ({statuses}) AND origin_topic = '{topic}'"
                );
                database.text(&sql).await.unwrap().parse().unwrap()
            }
            Place::Redirect => {
                let all = redirected(subject).await;
                let wanted = |stamp: &Value| {
                    stamp["kind"] == "waits" && (!held_only || stamp["held"] == true)
                };
                all.values().filter(|(_, stamp)| wanted(stamp)).count()
            }
        }
    }

    /// Records that wait, a held one too.
    pub(crate) async fn waiting(&self, subject: &Subject) -> usize {
        self.counted(subject, false).await
    }

    /// What is left of records that were given up.
    pub(crate) async fn statuses(&self, subject: &Subject) -> Vec<String> {
        match &self.place {
            Place::Lanes { database, .. } => {
                let sql = "SELECT string_agg(status, ',' ORDER BY id) FROM cdc.lane_event";
                let text = database.text(sql).await.unwrap_or_default();
                text.split(',').map(str::to_owned).collect()
            }
            Place::Redirect => {
                let all = redirected(subject).await;
                let kinds = all
                    .values()
                    .map(|(_, stamp)| stamp["kind"].as_str().unwrap());
                let of_records = kinds.filter(|kind| !["owner", "done"].contains(kind));
                of_records.map(str::to_owned).collect()
            }
        }
    }

    async fn until(&self, subject: &Subject, held_only: bool, wanted: usize) {
        let waited = tokio::time::timeout(DEADLINE, async {
            while self.counted(subject, held_only).await != wanted {
                tokio::time::sleep(millis(10)).await;
            }
        });
        let said = format!("never {wanted}, held only: {held_only}");
        waited.await.expect(&said);
    }

    pub(crate) async fn until_held(&self, subject: &Subject, wanted: usize) {
        self.until(subject, true, wanted).await;
    }

    pub(crate) async fn until_waiting(&self, subject: &Subject, wanted: usize) {
        self.until(subject, false, wanted).await;
    }

    pub(crate) async fn until_empty(&self, subject: &Subject) {
        self.until_waiting(subject, 0).await;
    }

    /// Whatever waits for its time is due for who starts from now on.
    pub(crate) async fn hurry(&self, subject: &Subject) {
        match &self.place {
            Place::Lanes { database, .. } => {
                let sql = "UPDATE cdc.lane_event SET due_at = NULL;
                     UPDATE cdc.lane SET due_at = now() WHERE lease_token IS NULL AND events > 0";
                database.execute(sql).await;
            }
            Place::Redirect => {
                let all = redirected(subject).await.into_values();
                let waiting = all.filter(|(_, stamp)| stamp["kind"] == "waits");
                let due = waiting.map(|(record, mut stamp)| {
                    stamp["due_ms"] = Value::Null;
                    stamped(record, &stamp)
                });
                let due: Vec<_> = due.collect();
                cluster::send(&redirect_of(subject), &due).await;
            }
        }
    }

    /// As if so many processes had begun with what waits and never come back.
    pub(crate) async fn lose(&self, subject: &Subject, times: u32) {
        match &self.place {
            Place::Lanes { database, .. } => {
                let sql = format!(
                    "UPDATE cdc.lane_event SET due_at = NULL;
                     UPDATE cdc.lane SET abandoned = {times}, due_at = now()"
                );
                database.execute(&sql).await;
            }
            Place::Redirect => {
                self.hurry(subject).await;
                let all = redirected(subject).await.into_values();
                let waiting = all.filter(|(_, stamp)| stamp["kind"] == "waits");
                let begun = waiting.map(|(record, _)| {
                    let key = format!("begun/{}", String::from_utf8(record.key.unwrap()).unwrap());
                    let mut headers = Headers::new();
                    headers.push("cdc-redirect-key", None);
                    headers.push("cdc-redirect", None);
                    let begun = Sent {
                        headers,
                        ..Sent::new(record.partition, &key, "")
                    };
                    stamped(
                        begun,
                        &json!({"version": 1, "kind": "begun", "count": times}),
                    )
                });
                let begun: Vec<_> = begun.collect();
                cluster::send(&redirect_of(subject), &begun).await;
            }
        }
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

const CREATION: Creation = Creation {
    replication_factor: -1,
};

fn redirect_settings(policy: DeadHead) -> RedirectSettings {
    RedirectSettings {
        follow: millis(100),
        ..RedirectSettings::new(policy)
    }
}

/// The redirect topic of a subject.
pub(crate) fn redirect_of(subject: &Subject) -> String {
    redirect_topic(&subject.settings.group, &subject.topic)
}

/// The newest record of each key in the redirect topic, with what its last header says.
async fn redirected(subject: &Subject) -> BTreeMap<Vec<u8>, (Sent, Value)> {
    let mut newest = BTreeMap::new();
    for record in cluster::read(&redirect_of(subject)).await {
        let key = record.key.clone().unwrap();
        match record.header("cdc-redirect") {
            Some(stamp) if record.value.is_some() => {
                let stamp = serde_json::from_slice(&stamp).unwrap();
                newest.insert(key, (record, stamp));
            }
            _ => drop(newest.remove(&key)),
        }
    }
    newest
}

/// A record with another last header.
fn stamped(record: Sent, stamp: &Value) -> Sent {
    let mut headers = Headers::new();
    let (_, others) = record.headers.as_slice().split_last().unwrap();
    for header in others {
        headers.push(header.name.clone(), header.value.clone());
    }
    headers.push("cdc-redirect", Some(serde_json::to_vec(stamp).unwrap()));
    Sent {
        headers,
        timestamp_ms: None,
        ..record
    }
}
