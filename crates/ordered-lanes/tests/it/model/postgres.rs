//! What runs see of a group in PostgreSQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ordered_lanes::EventStatus;
use pg_replication::Client;

use super::World;

/// A group that no other run has, so that runs share a database.
pub(crate) struct OneGroup {
    client: Arc<Client>,
    pub(crate) group: String,
}

impl OneGroup {
    pub(crate) fn new(client: Arc<Client>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let group = format!("group-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Self { client, group }
    }
}

impl World for OneGroup {
    async fn age(&self) {
        for sql in [
            "UPDATE cdc.lane_event SET due_at = NULL WHERE consumer_group = $1 AND due_at IS NOT NULL",
            "UPDATE cdc.lane SET due_at = now() WHERE consumer_group = $1 AND due_at IS NOT NULL",
        ] {
            self.client.execute(sql, &[&self.group]).await.unwrap();
        }
    }

    async fn leftover(&self) -> Vec<(i32, i64, &'static str)> {
        let sql = "SELECT origin_partition, origin_offset, status FROM cdc.lane_event WHERE consumer_group = $1";
        let rows = self.client.query(sql, &[&self.group]).await.unwrap();
        let status = |text| EventStatus::from_text(text).unwrap().as_str();
        rows.iter()
            .map(|row| (row.get(0), row.get(1), status(row.get(2))))
            .collect()
    }

    async fn lanes(&self) -> usize {
        let sql = "SELECT count(*), count(*) FILTER (WHERE events <> (
                       SELECT count(*) FROM cdc.lane_event
                        WHERE lane_id = lane.id AND status IN ('open', 'held')))
                     FROM cdc.lane WHERE consumer_group = $1";
        let row = self.client.query_one(sql, &[&self.group]).await.unwrap();
        assert_eq!(
            row.get::<_, i64>(1),
            0,
            "lanes whose events are counted wrong"
        );
        usize::try_from(row.get::<_, i64>(0)).unwrap()
    }
}
