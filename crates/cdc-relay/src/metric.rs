//! Names of metrics and labels, each described once.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram, gauge};

use crate::shard::Shard;

/// Events that Kafka acknowledged.
pub(crate) const EVENTS: &str = "cdc_relay_events_total";
/// Transactions that Kafka has whole.
pub(crate) const TRANSACTIONS: &str = "cdc_relay_transactions_total";
/// Updates, deletes and truncations in the stream, which are no events.
pub(crate) const IGNORED_CHANGES: &str = "cdc_relay_ignored_changes_total";
/// Events that came again from PostgreSQL and were not sent again.
pub(crate) const SUPPRESSED: &str = "cdc_relay_duplicates_suppressed_total";
/// Events that can't be sent and were stored instead. Label: [`REASON`].
pub(crate) const PARKED: &str = "cdc_relay_parked_events_total";
/// Events that were sent otherwise than the settings ask for. Label: [`KIND`].
pub(crate) const NOTICES: &str = "cdc_relay_event_notices_total";
/// Slots that did not continue where the relay stopped.
pub(crate) const GAPS: &str = "cdc_relay_gaps_total";
/// From the commit in PostgreSQL to Kafka's acknowledgement.
pub(crate) const COMMIT_TO_ACK: &str = "cdc_relay_commit_to_ack_seconds";
/// Write-ahead log that was received and is not confirmed yet.
pub(crate) const UNCONFIRMED: &str = "cdc_relay_unconfirmed_bytes";
/// Age of the newest acknowledged commit while something waits.
pub(crate) const LAG: &str = "cdc_relay_lag_seconds";
/// Records that wait for Kafka's acknowledgement.
pub(crate) const IN_FLIGHT_EVENTS: &str = "cdc_relay_in_flight_events";
/// Bytes that wait for Kafka's acknowledgement.
pub(crate) const IN_FLIGHT_BYTES: &str = "cdc_relay_in_flight_bytes";
/// Since the last byte from PostgreSQL.
pub(crate) const WIRE_AGE: &str = "cdc_relay_last_wire_message_age_seconds";
/// New connections to PostgreSQL after a failure. Label: [`CODE`].
pub(crate) const RECONNECTS: &str = "cdc_relay_reconnects_total";
/// Producers made anew after a fatal error.
pub(crate) const PRODUCER_REBUILDS: &str = "cdc_relay_producer_rebuilds_total";
/// 1 while the stream is open, otherwise 0.
pub(crate) const STREAMING: &str = "cdc_relay_streaming";
/// 1 while Kafka answers, otherwise 0.
pub(crate) const KAFKA_ANSWERS: &str = "cdc_relay_kafka_answers";
/// Log after what the slot has confirmed.
pub(crate) const SLOT_LAG: &str = "cdc_relay_slot_lag_bytes";
/// Log that the slot keeps from being removed.
pub(crate) const SLOT_RETAINED: &str = "cdc_relay_slot_retained_bytes";
/// How much more log may be written before the slot is in danger.
pub(crate) const SLOT_SAFE: &str = "cdc_relay_slot_safe_bytes";
/// Failed events in the store that nobody has dealt with.
pub(crate) const OPEN_FAILURES: &str = "cdc_failed_events_open";
/// Webhook endpoints that get nothing until somebody enables them.
pub(crate) const DISABLED_ENDPOINTS: &str = "cdc_notify_disabled_endpoints";
/// Outbox rows that were removed because of their age.
pub(crate) const REMOVED_ROWS: &str = "cdc_relay_outbox_removed_rows_total";
/// Outbox partitions that were dropped because of their age, with their rows.
pub(crate) const DROPPED_PARTITIONS: &str = "cdc_relay_outbox_dropped_partitions_total";
/// Looks at all outbox tables for rows to remove.
pub(crate) const RETENTION_ROUNDS: &str = "cdc_relay_outbox_retention_rounds_total";
/// Failures to remove old outbox rows. Label: [`CODE`].
pub(crate) const RETENTION_ERRORS: &str = "cdc_relay_outbox_retention_errors_total";

/// Label: an error code.
pub(crate) const CODE: &str = "code";
/// Label: what is to be noticed, [`UNEXPANDED`] or [`INVALID_TRACE_CONTEXT`].
pub(crate) const KIND: &str = "kind";
/// The payload could not be expanded and was sent as it is.
pub(crate) const UNEXPANDED: &str = "unexpanded_payload";
/// The trace context was left out.
pub(crate) const INVALID_TRACE_CONTEXT: &str = "invalid_trace_context";
/// Label: why an event can't be sent.
pub(crate) const REASON: &str = "reason";

/// Label: the shard, from 0; absent when there is only one.
pub(crate) const SHARD: &str = "shard";

/// Upper bounds of the latency histogram in seconds: from half a millisecond to a minute.
pub(crate) const LATENCY_BUCKETS: [f64; 15] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0,
];

/// Tells the recorder what each metric means. Call it once, after the recorder is installed.
pub(crate) fn describe() {
    describe_counter!(EVENTS, Unit::Count, "Events that Kafka acknowledged.");
    describe_counter!(
        TRANSACTIONS,
        Unit::Count,
        "Transactions that Kafka has whole."
    );
    describe_counter!(
        IGNORED_CHANGES,
        Unit::Count,
        "Updates, deletes and truncations, which are no events."
    );
    describe_counter!(
        SUPPRESSED,
        Unit::Count,
        "Events that came again from PostgreSQL and were not sent again."
    );
    describe_counter!(
        PARKED,
        Unit::Count,
        "Events that can't be sent and were stored instead."
    );
    describe_counter!(
        NOTICES,
        Unit::Count,
        "Events that were sent otherwise than the settings ask for."
    );
    describe_counter!(
        GAPS,
        Unit::Count,
        "Slots that did not continue where the relay stopped."
    );
    describe_histogram!(
        COMMIT_TO_ACK,
        Unit::Seconds,
        "From the commit in PostgreSQL to Kafka's acknowledgement."
    );
    describe_gauge!(
        UNCONFIRMED,
        Unit::Bytes,
        "Write-ahead log that was received and is not confirmed yet."
    );
    describe_gauge!(
        LAG,
        Unit::Seconds,
        "Age of the newest acknowledged commit while something waits, otherwise 0."
    );
    describe_gauge!(
        IN_FLIGHT_EVENTS,
        Unit::Count,
        "Records that wait for Kafka's acknowledgement."
    );
    describe_gauge!(
        IN_FLIGHT_BYTES,
        Unit::Bytes,
        "Bytes that wait for Kafka's acknowledgement."
    );
    describe_gauge!(
        WIRE_AGE,
        Unit::Seconds,
        "Since the last byte from PostgreSQL."
    );
    describe_counter!(
        RECONNECTS,
        Unit::Count,
        "New connections to PostgreSQL after a failure."
    );
    describe_counter!(
        PRODUCER_REBUILDS,
        Unit::Count,
        "Producers made anew after a fatal error."
    );
    describe_counter!(
        REMOVED_ROWS,
        Unit::Count,
        "Outbox rows that were removed because of their age."
    );
    describe_counter!(
        DROPPED_PARTITIONS,
        Unit::Count,
        "Outbox partitions that were dropped because of their age."
    );
    describe_counter!(
        RETENTION_ROUNDS,
        Unit::Count,
        "Looks at all outbox tables for rows to remove."
    );
    describe_counter!(
        RETENTION_ERRORS,
        Unit::Count,
        "Failures to remove old outbox rows."
    );
    describe_gauge!(
        STREAMING,
        Unit::Count,
        "1 while the stream is open, otherwise 0."
    );
    describe_gauge!(
        KAFKA_ANSWERS,
        Unit::Count,
        "1 while Kafka answers, otherwise 0."
    );
    describe_gauge!(
        SLOT_LAG,
        Unit::Bytes,
        "Log after what the slot has confirmed, as the server says; NaN while the slot is not held."
    );
    describe_gauge!(
        SLOT_RETAINED,
        Unit::Bytes,
        "Log that the slot keeps from being removed; NaN while the slot is not held."
    );
    describe_gauge!(
        SLOT_SAFE,
        Unit::Bytes,
        "How much more log may be written before the slot is in danger; NaN without a limit."
    );
    describe_gauge!(
        OPEN_FAILURES,
        Unit::Count,
        "Failed events in the store that nobody has dealt with; NaN if the store does not say."
    );
    describe_gauge!(
        DISABLED_ENDPOINTS,
        Unit::Count,
        "Webhook endpoints that are disabled; NaN if the store does not say."
    );
}

/// What the server says of the log that a slot holds. What is not known is shown as NaN, which no alert takes for a
/// number.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct SlotLog {
    pub(crate) lag_bytes: Option<f64>,
    pub(crate) retained_bytes: Option<f64>,
    /// `None` without a limit (`max_slot_wal_keep_size`).
    pub(crate) safe_bytes: Option<f64>,
}

/// Sets the gauges of a slot.
pub(crate) fn observe_slot(log: SlotLog, shard: Option<Shard>) {
    let labels = shard_labels(shard);
    gauge!(SLOT_LAG, &labels).set(log.lag_bytes.unwrap_or(f64::NAN));
    gauge!(SLOT_RETAINED, &labels).set(log.retained_bytes.unwrap_or(f64::NAN));
    gauge!(SLOT_SAFE, &labels).set(log.safe_bytes.unwrap_or(f64::NAN));
}

/// None for a shard that is alone.
pub(crate) fn shard_labels(shard: Option<Shard>) -> Vec<(&'static str, String)> {
    let label = shard.map(|shard| (SHARD, shard.index().to_string()));
    label.into_iter().collect()
}
