//! Names of metrics, labels and fields of log lines, each described once.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Events that were answered for. Label: [`OUTCOME`].
pub(crate) const EVENTS: &str = "cdc_guarded_events_total";
/// From the call to its answer.
pub(crate) const SEND_SECONDS: &str = "cdc_guarded_send_seconds";
/// 1 while events go to the outbox, otherwise 0.
pub(crate) const FALLBACK: &str = "cdc_guarded_fallback";
/// How often events were turned to the outbox. Label: [`CAUSE`].
pub(crate) const ENTRIES: &str = "cdc_guarded_fallback_entries_total";

/// Label: `sent`, `stored`, `refused` or `failed`.
pub(crate) const OUTCOME: &str = "outcome";
/// Label and field: why events go to the outbox; one of five words.
pub(crate) const CAUSE: &str = "cause";

/// Field: how many events were stored.
pub(crate) const STORED: &str = "stored";
/// Field: for how long events were stored.
pub(crate) const LASTED: &str = "lasted";
/// Field: what went wrong, with its causes.
pub(crate) const ERROR: &str = "error";

/// Tells the recorder what each metric means. Call it once, after the recorder is installed.
pub fn describe_metrics() {
    describe_counter!(EVENTS, "Events of the guarded producer, by outcome");
    describe_histogram!(
        SEND_SECONDS,
        Unit::Seconds,
        "From the call to the answer of where the event is"
    );
    describe_gauge!(FALLBACK, "1 while events go to the outbox");
    describe_counter!(
        ENTRIES,
        "How often events were turned to the outbox, by cause"
    );
}
