//! Names of metrics and labels. All metrics have the label [`GROUP`].

use metrics::{Unit, describe_counter, describe_gauge, gauge};

use crate::index::Backlog;

/// Records that had to wait. Label: [`REASON`].
pub(crate) const PARKED: &str = "cdc_redirect_parked_records_total";
/// Attempts of records that waited. Label: [`OUTCOME`].
pub(crate) const ATTEMPTS: &str = "cdc_redirect_attempts_total";
/// Keys of which something waits, in the partitions that are owned here.
pub(crate) const OPEN_KEYS: &str = "cdc_redirect_open_keys";
/// Keys that wait for an operator.
pub(crate) const HELD_KEYS: &str = "cdc_redirect_held_keys";
/// Records that wait.
pub(crate) const WAITING: &str = "cdc_redirect_waiting_records";
/// For how long the key that is due the longest is due.
pub(crate) const OVERDUE: &str = "cdc_redirect_overdue_seconds";
/// For how long the record that waits the longest waits.
pub(crate) const OLDEST: &str = "cdc_redirect_oldest_seconds";

/// Label: the consumer group.
pub(crate) const GROUP: &str = "group";
/// Label: why a record had to wait.
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
    describe_counter!(
        PARKED,
        Unit::Count,
        "Records that had to wait in a redirect topic"
    );
    describe_counter!(
        ATTEMPTS,
        Unit::Count,
        "Attempts of records in redirect topics"
    );
    describe_gauge!(
        OPEN_KEYS,
        Unit::Count,
        "Keys of which something waits, in the partitions of this process"
    );
    describe_gauge!(
        HELD_KEYS,
        Unit::Count,
        "Keys that wait for an operator, in the partitions of this process"
    );
    describe_gauge!(
        WAITING,
        Unit::Count,
        "Records that wait, in the partitions of this process"
    );
    describe_gauge!(
        OVERDUE,
        Unit::Seconds,
        "For how long the key that is due the longest is due"
    );
    describe_gauge!(
        OLDEST,
        Unit::Seconds,
        "For how long the record that waits the longest waits"
    );
}

/// Shows figures as metrics of a group.
pub fn show(group: &str, backlog: &Backlog) {
    let set = |name: &'static str, value: f64| gauge!(name, GROUP => group.to_owned()).set(value);
    set(OPEN_KEYS, counted(backlog.open_keys));
    set(HELD_KEYS, counted(backlog.held_keys));
    set(WAITING, counted(backlog.waiting_records));
    set(OVERDUE, backlog.overdue.as_secs_f64());
    set(OLDEST, backlog.oldest.as_secs_f64());
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge shows no more than 53 bits"
)]
const fn counted(number: u64) -> f64 {
    number as f64
}
