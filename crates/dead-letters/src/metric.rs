//! Names of metrics and labels, each described once.

use metrics::{Unit, describe_counter, describe_gauge};

/// Dead letters that were stored.
pub(crate) const STORED: &str = "cdc_dead_letters_stored_total";
/// Attempts to store dead letters that failed.
pub(crate) const STORE_ERRORS: &str = "cdc_dead_letters_store_errors_total";
/// Dead letters that wait to be stored.
pub(crate) const WAITING: &str = "cdc_dead_letters_waiting";
/// Alerts. Label: [`OUTCOME`].
pub(crate) const ALERTS: &str = "cdc_dead_letters_alerts_total";

/// Label: what became of an alert, `sent` or `failed`.
pub(crate) const OUTCOME: &str = "outcome";

/// Describes the metrics of this crate to the recorder that is installed.
pub fn describe() {
    describe_counter!(STORED, Unit::Count, "Dead letters that were stored");
    describe_counter!(
        STORE_ERRORS,
        Unit::Count,
        "Attempts to store dead letters that failed"
    );
    describe_gauge!(WAITING, Unit::Count, "Dead letters that wait to be stored");
    describe_counter!(ALERTS, Unit::Count, "Alerts, by what became of them");
}
