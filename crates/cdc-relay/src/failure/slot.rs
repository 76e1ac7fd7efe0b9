//! What `init`, `doctor` and the relay say of a slot that cannot be used.

use super::Failure;
use crate::error_code::ErrorCode;

impl Failure {
    /// The slot is for something else: `mismatch` completes "the replication slot …".
    pub(crate) fn slot_foreign(name: &str, mismatch: &str) -> Self {
        Self::new(
            ErrorCode::SlotForeign,
            format!("the replication slot {name:?} {mismatch}"),
            "choose another `relay.slot`, or drop the slot if nobody needs it (SELECT pg_drop_replication_slot(…))",
        )
    }

    /// The server has removed log that the slot needed.
    pub(crate) fn slot_lost(name: &str) -> Self {
        Self::new(
            ErrorCode::SlotLost,
            format!(
                "PostgreSQL has removed log that the slot {name:?} needed (wal_status is lost)"
            ),
            format!(
                "events since the slot's position were not relayed. SELECT pg_drop_replication_slot('{name}'); run \
                 `init`; send what is missing from the outbox table; raise max_slot_wal_keep_size"
            ),
        )
    }
}
