//! Which failed events are meant.

use std::time::Duration;

use tokio_postgres::types::{ToSql, Type};

use crate::failed_event::FailedEventId;
use crate::fingerprint::Fingerprint;
use crate::status::Status;

/// Which failed events are meant: those for which everything that is given holds. The default means all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// One of these; empty means any.
    pub ids: Vec<FailedEventId>,
    /// One of these; empty means any.
    pub statuses: Vec<Status>,
    /// The topic that a replay sends to, or that a consumer read from.
    pub topic: Option<String>,
    /// The consumer group that failed.
    pub group: Option<String>,
    /// The part of the record at which the group failed: for the notifier, an endpoint.
    pub part: Option<String>,
    /// The key, byte for byte.
    pub key: Option<Vec<u8>>,
    /// The error's code.
    pub code: Option<String>,
    /// The trouble.
    pub fingerprint: Option<Fingerprint>,
    /// It failed last longer ago than this.
    pub older_than: Option<Duration>,
    /// It failed last since this long ago.
    pub newer_than: Option<Duration>,
}

/// The filter as SQL, with [`parameters`](Bound::parameters) from `$1` on.
pub(crate) const CONDITION: &str = "($1 IS NULL OR status = ANY ($1))
       AND ($2 IS NULL OR topic = $2 OR origin_topic = $2)
       AND ($3 IS NULL OR key = $3)
       AND ($4 IS NULL OR error_code = $4)
       AND ($5 IS NULL OR fingerprint = $5)
       AND ($6 IS NULL OR last_failed_at < now() - make_interval(secs => $6))
       AND ($7 IS NULL OR last_failed_at >= now() - make_interval(secs => $7))
       AND ($8 IS NULL OR id = ANY ($8))
       AND ($9 IS NULL OR consumer_group = $9)
       AND ($10 IS NULL OR part = $10)";

/// The parameter after those of [`CONDITION`].
pub(crate) const LIMIT: &str = "$11";

/// The order in which events are replayed: that of their origin.
pub(crate) const REPLAY_ORDER: &str = "source, system_id, slot, commit_lsn, change_index, \
     consumer_group, origin_topic, origin_partition, origin_offset, part, id";

/// The values of a filter's parameters.
pub(crate) struct Bound<'a> {
    statuses: Option<Vec<&'static str>>,
    topic: Option<&'a str>,
    key: Option<&'a [u8]>,
    code: Option<&'a str>,
    fingerprint: Option<&'a str>,
    older_than: Option<f64>,
    newer_than: Option<f64>,
    ids: Option<Vec<i64>>,
    group: Option<&'a str>,
    part: Option<&'a str>,
}

impl Filter {
    pub(crate) fn bind(&self) -> Bound<'_> {
        let statuses = self.statuses.iter().map(|status| status.as_str());
        Bound {
            statuses: (!self.statuses.is_empty()).then(|| statuses.collect()),
            topic: self.topic.as_deref(),
            key: self.key.as_deref(),
            code: self.code.as_deref(),
            fingerprint: self.fingerprint.as_ref().map(Fingerprint::as_str),
            older_than: self.older_than.map(seconds),
            newer_than: self.newer_than.map(seconds),
            ids: (!self.ids.is_empty()).then(|| self.ids.iter().map(|id| id.get()).collect()),
            group: self.group.as_deref(),
            part: self.part.as_deref(),
        }
    }
}

impl Bound<'_> {
    /// `$1` to `$10`.
    pub(crate) fn parameters(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        vec![
            (&self.statuses, Type::TEXT_ARRAY),
            (&self.topic, Type::TEXT),
            (&self.key, Type::BYTEA),
            (&self.code, Type::TEXT),
            (&self.fingerprint, Type::TEXT),
            (&self.older_than, Type::FLOAT8),
            (&self.newer_than, Type::FLOAT8),
            (&self.ids, Type::INT8_ARRAY),
            (&self.group, Type::TEXT),
            (&self.part, Type::TEXT),
        ]
    }
}

/// At most a thousand years: PostgreSQL has no time before 4713 BC.
fn seconds(age: Duration) -> f64 {
    const LONGEST: Duration = Duration::from_secs(1000 * 366 * 86_400);
    age.min(LONGEST).as_secs_f64()
}
