//! Records and failures to test with.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use cdc_event::{Attempt, Fate, Headers, KafkaPosition, Record};
use cdc_store::ErrorReport;
use ordered_lanes::{
    Assignment, DeadHead, GuardLimits, LaneGuard, LaneStore, ParkedEvent, PostgresLanes, Remainder,
    Rest, claim_due,
};

pub(crate) const GROUP: &str = "billing";
pub(crate) const TOPIC: &str = "orders";
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
/// For what must not happen.
pub(crate) const SOON: Duration = Duration::from_millis(300);
pub(crate) const HOLD: GuardLimits = GuardLimits {
    open_keys: 1000,
    events_of_key: 1000,
    dead_head: DeadHead::Hold,
};

pub(crate) fn record(partition: i32, offset: i64, key: Option<&str>) -> Record {
    let mut headers = Headers::new();
    headers.push("id", Some(format!("{partition}/{offset}").into_bytes()));
    headers.push("id", None);
    headers.push("empty", Some(Vec::new()));
    Record {
        origin: KafkaPosition {
            topic: TOPIC.into(),
            partition,
            offset,
        },
        part: None,
        key: key.map(Into::into),
        value: Some(vec![0, 255, 10]),
        headers,
        timestamp_ms: Some(-1),
    }
}

pub(crate) fn assignment(partition: i32) -> Assignment {
    Assignment {
        group: GROUP.into(),
        topic: TOPIC.into(),
        partition,
        partition_count: 2,
    }
}

pub(crate) async fn guard<S: LaneStore>(
    store: &Arc<S>,
    partition: i32,
    committed: i64,
) -> LaneGuard<S> {
    LaneGuard::take_over(
        Arc::clone(store),
        assignment(partition),
        Some(committed),
        HOLD,
    )
    .await
    .unwrap()
}

/// All of a record, after its first attempt.
pub(crate) fn left(fate: Fate) -> Vec<Remainder> {
    vec![Remainder {
        part: None,
        attempt: Attempt::FIRST,
        error: ErrorReport::new("no-luck", "it did not work", ["a cause"]),
        fate,
        delays: 1,
    }]
}

pub(crate) fn again(after: Duration) -> Vec<Remainder> {
    left(Fate::Again(after))
}

pub(crate) fn attempt(number: u32) -> Attempt {
    Attempt {
        number: NonZeroU32::new(number).unwrap(),
        first_failed_at: None,
    }
}

/// Runs all lanes that are due until there are none; gives what was handled.
pub(crate) async fn drain(lanes: &Arc<PostgresLanes>) -> Vec<ParkedEvent> {
    let mut handled = Vec::new();
    loop {
        let claimed = claim_due(lanes, GROUP, 10, HOUR).await.unwrap();
        if claimed.is_empty() {
            return handled;
        }
        for mut lane in claimed {
            loop {
                let event = lane.next().await.unwrap().unwrap();
                let rest = lane.succeeded(event.id).await.unwrap();
                handled.push(event);
                if rest == Rest::Released {
                    break;
                }
            }
        }
    }
}

pub(crate) fn offsets(events: &[ParkedEvent]) -> Vec<i64> {
    events
        .iter()
        .map(|event| event.record.origin.offset)
        .collect()
}
