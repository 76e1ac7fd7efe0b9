//! Names of metrics and labels. All metrics have the label [`GROUP`].

use metrics::{Unit, describe_counter, describe_gauge, gauge};

use crate::postgres::LaneStats;

/// Records that went into a lane. Label: [`REASON`].
pub(crate) const PARKED: &str = "cdc_lane_parked_records_total";
/// Attempts of events in lanes. Label: [`OUTCOME`].
pub(crate) const ATTEMPTS: &str = "cdc_lane_attempts_total";
/// Leases that ended before the work did.
pub(crate) const LEASES_LOST: &str = "cdc_lane_leases_lost_total";
/// Steps that failed for the store's sake.
pub(crate) const STORE_ERRORS: &str = "cdc_lane_store_errors_total";
/// Keys with something in their lane.
pub(crate) const OPEN_LANES: &str = "cdc_lane_open_lanes";
/// Keys that wait for an operator.
pub(crate) const HELD_LANES: &str = "cdc_lane_held_lanes";
/// Events in lanes.
pub(crate) const WAITING: &str = "cdc_lane_waiting_events";
/// For how long the lane that is due the longest is due.
pub(crate) const OVERDUE: &str = "cdc_lane_overdue_seconds";
/// For how long the lane that is open the longest is open.
pub(crate) const OLDEST: &str = "cdc_lane_oldest_seconds";

/// Label: the consumer group.
pub(crate) const GROUP: &str = "group";
/// Label: why a record went into a lane.
pub(crate) const REASON: &str = "reason";
/// It failed.
pub(crate) const REASON_FAILED: &str = "failed";
/// It waits behind another.
pub(crate) const REASON_FOLLOWER: &str = "follower";
/// Label: what came of an attempt.
pub(crate) const OUTCOME: &str = "outcome";
/// The record is dealt with.
pub(crate) const OUTCOME_SUCCEEDED: &str = "succeeded";
/// It is tried again.
pub(crate) const OUTCOME_RETRY: &str = "retry";
/// It is given up.
pub(crate) const OUTCOME_DEAD: &str = "dead";

/// Describes the metrics of this crate; to be called once, after a recorder was installed.
pub fn describe() {
    describe_counter!(PARKED, Unit::Count, "Records that went into a lane");
    describe_counter!(ATTEMPTS, Unit::Count, "Attempts of events in lanes");
    describe_counter!(
        LEASES_LOST,
        Unit::Count,
        "Leases that ended before the work did"
    );
    describe_counter!(
        STORE_ERRORS,
        Unit::Count,
        "Steps that the store of the lanes did not do"
    );
    describe_gauge!(OPEN_LANES, Unit::Count, "Keys with something in their lane");
    describe_gauge!(HELD_LANES, Unit::Count, "Keys that wait for an operator");
    describe_gauge!(WAITING, Unit::Count, "Events in lanes");
    describe_gauge!(
        OVERDUE,
        Unit::Seconds,
        "For how long the lane that is due the longest is due"
    );
    describe_gauge!(
        OLDEST,
        Unit::Seconds,
        "For how long the lane that is open the longest is open"
    );
}

/// Shows figures as metrics of a group.
pub fn show(group: &str, stats: &LaneStats) {
    let set = |name: &'static str, value: f64| gauge!(name, GROUP => group.to_owned()).set(value);
    set(OPEN_LANES, counted(stats.open_lanes));
    set(HELD_LANES, counted(stats.held_lanes));
    set(WAITING, counted(stats.waiting_events));
    set(OVERDUE, stats.overdue.as_secs_f64());
    set(OLDEST, stats.oldest.as_secs_f64());
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge shows no more than 53 bits"
)]
const fn counted(number: u64) -> f64 {
    number as f64
}
